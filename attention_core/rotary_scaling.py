"""Scaling of rotary embeddings, by which models trained on short sequences are applied to longer ones.

The kinds and the names of their parameters are those of Hugging Face configurations, where `kind` is `rope_type`.
"""

from dataclasses import dataclass, field
from math import log, pi
from typing import Any, ClassVar

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.descriptions import Described, Description, Text, parameter, parameters_of
from attention_core.errors import InvalidValue, UnknownName

KIND_PARAMETERS: dict[str, tuple[str, ...]] = {
    "linear": (),
    "ntk": (),
    "yarn": (
        *("original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor"),
        *("mscale", "mscale_all_dim", "truncate"),
    ),
    "llama3": ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
}
"""Kinds of scaling, and the parameters of each beside `factor`."""

NARROWEST_RAMP = 0.001
"""Width, in pairs, of yarn's ramp where its ends coincide, as published with the paper."""


def _of_kind(owner: str, zh: str, en: str, default: str = "", **rules: Any) -> Any:
    """Return the field of a parameter that not every kind has; None stands for its default there.

    :param owner: the kinds that have it.
    :param zh: what it is, in Chinese.
    :param en: what it is, in English.
    :param default: its default as text; none where it is empty.
    :param rules: other fields of `Parameter`, by name.
    """
    default_text = Text(default, default) if default else None
    about = parameter(
        zh=f"{owner}：{zh}", en=f"{owner}: {en}", per_head=False, flat_name="", default_text=default_text, **rules
    )
    return field(default=None, metadata=about)


@dataclass(frozen=True, slots=True)
class RotaryScaling(Described):
    """How the angles of rotary embeddings are scaled.

    With θ_m = base^(−2m/dims) and s = `factor`:

    - ``linear``: θ_m / s.  Chen et al. 2023, "Extending Context Window of Large Language Models via Positional
      Interpolation", equation 4.
    - ``ntk``: base becomes base · s^(dims / (dims − 2)), so that the fastest pair is not scaled and the slowest is
      divided by s.  Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large Language Models", section 3.1.
    - ``yarn``: θ_m of pairs that turn more than `beta_fast` times in `original_max_position_embeddings` positions,
      θ_m / s of pairs that turn less than `beta_slow` times, and a linear ramp between them; rotated queries and keys
      are multiplied by the attention factor, 0.1 · ln s + 1 by default.  The same paper, section 3.2 and equation 22.
    - ``llama3``: θ_m of pairs that turn more than `high_freq_factor` times in `original_max_position_embeddings`
      positions, θ_m / s of pairs that turn less than `low_freq_factor` times, and between them a ramp that is linear in
      the number of turns.  Grattafiori et al. 2024, "The Llama 3 Herd of Models", and Meta's code for Llama 3.1.
    """

    kind: str = field(
        metadata=parameter(
            zh="缩放方式",
            en="How angles are scaled",
            per_head=False,
            kind="choice",
            choices=tuple(KIND_PARAMETERS),
            flat_name="",
        )
    )
    factor: float = field(
        metadata=parameter(
            zh="上下文延长的倍数",
            en="How many times longer sequences are than in training",
            per_head=False,
            minimum=1,
            advice="1 scales nothing.",
            flat_name="",
        )
    )
    original_max_position_embeddings: int | None = _of_kind(
        "yarn, llama3", "训练时的最大长度，必填", "longest sequence in training, required", kind="integer", minimum=1
    )
    beta_fast: float | None = _of_kind(
        "yarn", "转得更多的配对不缩放", "pairs that turn more often are not scaled", "32", above=0
    )
    beta_slow: float | None = _of_kind(
        "yarn", "转得更少的配对完全缩放", "pairs that turn less often are scaled wholly", "1", above=0
    )
    attention_factor: float | None = _of_kind(
        "yarn", "旋转后的查询和键乘以它", "multiplies rotated queries and keys", "0.1·ln(factor) + 1", above=0
    )
    mscale: float | None = _of_kind(
        "yarn",
        "与 mscale_all_dim 一起决定注意力系数",
        "with mscale_all_dim, of the attention factor (0.1·mscale·ln(factor)+1) / (0.1·mscale_all_dim·ln(factor)+1)",
        minimum=0,
    )
    mscale_all_dim: float | None = _of_kind("yarn", "见 mscale", "see mscale", minimum=0)
    truncate: bool | None = _of_kind(
        "yarn", "斜坡两端是否取整", "whether the ends of the ramp are rounded to whole pairs", "true", kind="boolean"
    )
    low_freq_factor: float | None = _of_kind(
        "llama3", "转得更少的配对完全缩放", "pairs that turn less often are scaled wholly", "1", above=0
    )
    high_freq_factor: float | None = _of_kind(
        "llama3", "转得更多的配对不缩放", "pairs that turn more often are not scaled", "4", above=0
    )
    name: ClassVar[str] = "scaling"
    description: ClassVar[Description] = Description(
        title=Text("旋转角度的缩放", "Scaling of rotary angles"),
        summary=Text(
            "把在较短序列上训练的模型用于更长的序列；参数的名称与 Hugging Face 的配置相同，kind 就是 rope_type。",
            "Applies a model that was trained on shorter sequences to longer ones. Parameters have the names of "
            "Hugging Face configurations, where kind is rope_type.",
        ),
        latex=r"\theta_m' = \theta_m / s",
        plain="linear: θ_m/factor; ntk: base·factor^(dims/(dims−2)); yarn and llama3: a ramp from θ_m to θ_m/factor",
        source="Chen et al. 2023; Peng et al. 2023, YaRN; Grattafiori et al. 2024, Llama 3",
        example={"kind": "linear", "factor": 2},
    )

    def check(self, base: float, size: int) -> None:
        """Raise UnknownName or InvalidValue with a path that begins with "scaling", or with "base".

        :param base: base of the angles, > 0.
        :param size: number of features that are rotated.
        """
        if self.kind not in KIND_PARAMETERS:
            raise UnknownName(
                ("scaling", "kind"),
                expected="a kind of scaling",
                kind="scaling",
                received=self.kind,
                known=KIND_PARAMETERS,
            )
        self._check_numbers()
        self._check_order()
        if self.kind == "ntk" and size < 4:
            raise InvalidValue(
                ("scaling", "kind"),
                expected="at least 4 rotated features for ntk, whose exponent is dims / (dims − 2)",
                received=str(size),
                advice="Choose linear, which scales a single pair alike.",
            )
        if self.kind == "yarn" and base <= 1:
            raise InvalidValue(
                ("base",),
                expected="a base greater than 1 for yarn, which divides by its logarithm",
                received=str(base),
                advice="The paper's base is 10000.",
            )

    def _check_numbers(self) -> None:
        """Raise InvalidValue for a parameter of another kind, one that is missing, or one out of bounds."""
        own = ("kind", "factor", *KIND_PARAMETERS[self.kind])
        for name, one in parameters_of(type(self)).items():
            value = getattr(self, name)
            if name == "kind" or (value is None and name != "original_max_position_embeddings"):
                continue
            if value is not None and name not in own:
                kinds = " and ".join(kind for kind, names in KIND_PARAMETERS.items() if name in names)
                raise InvalidValue(
                    ("scaling", name),
                    expected=f"no {name} beside {self.kind}: it belongs to {kinds}",
                    received=str(value),
                    advice="Leave it out, or choose another kind.",
                )
            if name not in own or one.kind == "boolean":
                continue
            if value is None:
                raise InvalidValue(
                    ("scaling", name),
                    expected=f"the longest sequence in training, which {self.kind} needs",
                    received="nothing",
                    advice="Send the number of positions of the model's configuration before its extension.",
                )
            if not one.accepts(value):
                raise InvalidValue(("scaling", name), expected=one.expected, received=str(value), advice=one.advice)

    def _check_order(self) -> None:
        """Raise InvalidValue unless the ends of a ramp are in order."""
        ends = {"yarn": ("beta_slow", "beta_fast"), "llama3": ("low_freq_factor", "high_freq_factor")}
        if self.kind not in ends:
            return
        (low_name, high_name), (low, high) = ends[self.kind], self._ramp_ends()
        if low >= high:
            raise InvalidValue(
                ("scaling", high_name),
                expected=f"a number greater than {low_name}, {low:g}",
                received=f"{high:g}",
                advice="Pairs that turn more often are scaled less.",
            )

    def _ramp_ends(self) -> tuple[float, float]:
        """Return the numbers of turns between which angles are scaled in part, with their defaults."""
        if self.kind == "yarn":
            return (1.0 if self.beta_slow is None else self.beta_slow), (
                32.0 if self.beta_fast is None else self.beta_fast
            )
        low, high = self.low_freq_factor, self.high_freq_factor
        return (1.0 if low is None else low), (4.0 if high is None else high)

    @property
    def attention_scale(self) -> float:
        """Number by which rotated queries and keys are multiplied each: 1 but for yarn."""
        if self.kind != "yarn":
            return 1.0
        if self.attention_factor is not None:
            return self.attention_factor
        growth = 0.1 * log(self.factor)
        # With one of the two alone, or with a 0, the published code takes the default.
        if self.mscale and self.mscale_all_dim:
            return (self.mscale * growth + 1) / (self.mscale_all_dim * growth + 1)
        return growth + 1

    def scale_angles(self, angles: FloatArray, base: float) -> FloatArray:
        """Return the scaled angles of one position, in float64.

        :param angles: base^(−2m/dims) of each pair m, (dims/2).
        :param base: base of the angles.
        """
        if self.kind == "linear":
            return angles / self.factor
        if self.kind == "ntk":
            # (base · s^(d/(d−2)))^(−2m/d) is θ_m · s^(−m/(d/2 − 1)).
            return angles * self.factor ** (-np.arange(len(angles)) / (len(angles) - 1))
        kept = self._yarn_share(len(angles), base) if self.kind == "yarn" else self._llama3_share(angles)
        scaled: FloatArray = kept * angles + (1 - kept) * (angles / self.factor)
        return scaled

    def _yarn_share(self, pairs: int, base: float) -> FloatArray:
        """Return how much of each angle yarn keeps, from 1 for fast pairs to 0 for slow ones, (dims/2)."""
        low, high = (self._pair_with_turns(turns, 2 * pairs, base) for turns in reversed(self._ramp_ends()))
        if self.truncate is not False:
            low, high = np.floor(low), np.ceil(high)
        low, high = max(low, 0), min(high, 2 * pairs - 1)
        width = high - low or NARROWEST_RAMP
        return 1 - np.clip((np.arange(pairs) - low) / width, 0, 1)

    def _pair_with_turns(self, turns: float, size: int, base: float) -> float:
        """Return which pair, in fractions, turns so often in the longest sequence of training."""
        length = self.original_max_position_embeddings or 1
        return size * log(length / (turns * 2 * pi)) / (2 * log(base))

    def _llama3_share(self, angles: FloatArray) -> FloatArray:
        """Return how much of each angle llama3 keeps, from 1 for fast pairs to 0 for slow ones, (dims/2)."""
        low, high = self._ramp_ends()
        turns = (self.original_max_position_embeddings or 1) * angles / (2 * pi)
        return np.clip((turns - low) / (high - low), 0, 1)
