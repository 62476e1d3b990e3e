"""A spread of calls, by name: every score model with every normalizer, and one by one whatever else a call may have."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Alibi,
    Allowed,
    AttentionCall,
    Causal,
    Entmax,
    KeyLengths,
    Rotary,
    Segments,
    Window,
)
from attention_core.arrays import FloatArray
from attention_core.call import Field
from attention_core.interfaces import Normalizer, ScoreModel

UNITS = 32
"""Hidden units of additive scores."""

LIFT = 300.0
"""Added to logits where a normalizer takes no negative one."""

INCLUDE: dict[str, tuple[Field, ...]] = {
    "dense": ("scores", "weights", "output"),
    "tiled": ("output",),
    "diagnostics": ("diagnostics",),
    "ranking": ("ranking",),
}
"""What is asked back decides on the path; the first two are named after it."""

PATHS = ("dense", "tiled")

Settings = dict[str, object]
SETTINGS: dict[str, Settings] = {
    "plain": {},
    "causal": {"mask": Causal()},
    "window": {"mask": Window(left=128, right=0)},
    "softcap": {"softcap": 30.0},
    "alibi": {"position": Alibi()},
    "rotary": {"position": Rotary()},
}
SETTINGS_BY_LENGTH: dict[str, Callable[[int], Settings]] = {
    "key lengths": lambda length: {"mask": KeyLengths(np.array([length // 2]))},
    "segments": lambda length: {"mask": Segments(*(np.arange(length)[None] * 4 // length,) * 2)},
    "allowed": lambda length: {"mask": Allowed(np.random.default_rng(2).random((length, length)) < 0.5)},
    "bias": lambda length: {"bias": np.random.default_rng(2).standard_normal((length, length), dtype=np.float32)},
}


@dataclass(frozen=True)
class Example:
    """A call to be made."""

    asked: str
    model: str = "scaled_dot_product"
    normalizer: str = "softmax"
    length: int = 1024
    dtype: str = "float32"
    setting: str = "plain"
    heads: tuple[int, int] | None = None
    """Query heads, and key heads."""
    features: int = 64

    @property
    def name(self) -> str:
        """What it is, in words without spaces between them."""
        heads = () if self.heads is None else (f"heads:{self.heads[0]}/{self.heads[1]}",)
        setting = self.setting.replace(" ", "_")
        words = (self.asked, self.model, self.normalizer, self.dtype, setting, *heads, f"{self.length}x{self.features}")
        return " ".join(words)

    def small(self) -> "Example":
        """The same in small, for warming up."""
        return replace(self, length=16)

    def call(self) -> AttentionCall:
        """Make arrays and models, the same in every run."""
        rng = np.random.default_rng(1)
        leading = [() if self.heads is None else (1, count) for count in self.heads or (1, 1)]
        query, key, value = (
            rng.standard_normal((*leading[min(place, 1)], self.length, self.features), dtype=np.float32)
            for place in range(3)
        )
        by_length = SETTINGS_BY_LENGTH.get(self.setting)
        settings = dict(SETTINGS[self.setting] if by_length is None else by_length(self.length))
        if self.normalizer == "proportional":
            settings["bias"] = np.full(1, LIFT, np.float32)
        return AttentionCall(
            query=query,
            key=key,
            value=value,
            score_model=self._score_model(rng),
            normalizer=self._normalizer(),
            dtype=self.dtype,
            include=INCLUDE[self.asked],
            **settings,  # type: ignore[arg-type]
        )

    def _normalizer(self) -> Normalizer:
        return Entmax(alpha=1.25) if self.normalizer == "entmax_1.25" else NORMALIZERS[self.normalizer]()

    def _score_model(self, rng: np.random.Generator) -> ScoreModel:
        def weight(*shape: int) -> FloatArray:
            return rng.standard_normal(shape, dtype=np.float32) / 8

        size = self.features
        parameters = {
            "additive": {
                "query_weight": weight(UNITS, size),
                "key_weight": weight(UNITS, size),
                "score_vector": weight(UNITS),
            },
            "bilinear": {"weight": weight(size, size)},
            "trilinear": {"weight": weight(3 * size)},
        }
        return SCORE_MODELS[self.model](**parameters.get(self.model, {}))


def examples() -> Iterator[Example]:
    """Yield each once."""
    plain = Example("tiled")
    for path, (place, model), (column, normalizer) in product(PATHS, enumerate(SCORE_MODELS), enumerate(NORMALIZERS)):
        # Both paths meet every model and every normalizer, though not every pair of them.
        if (place + column) % 2 == (path == "tiled") or (model, normalizer) == (plain.model, plain.normalizer):
            yield Example(path, model, normalizer)
    others = [setting for setting in (*SETTINGS, *SETTINGS_BY_LENGTH) if setting != plain.setting]
    for path in PATHS:
        own = replace(plain, asked=path)
        yield from (replace(own, length=length) for length in (512, 2048, 4096))
        yield from (replace(own, dtype=dtype) for dtype in ("float64", "float16", "bfloat16"))
        yield from (replace(own, setting=setting, length=2048) for setting in others)
        yield from (replace(own, heads=heads, length=512) for heads in ((8, 8), (8, 2)))
        yield from (replace(own, features=features) for features in (8, 256))
        yield from (replace(own, model=model, features=16) for model in ("additive", "gaussian"))
        yield replace(own, dtype="bfloat16", length=2048)
        yield replace(own, normalizer="sparsemax", length=2048)
        yield replace(own, normalizer="entmax_1.25", length=512)
    for asked in ("diagnostics", "ranking"):
        yield from (replace(plain, asked=asked, length=length) for length in (512, 2048))
    yield replace(plain, length=8192)
