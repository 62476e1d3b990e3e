"""Every score model with every normalizer: what the reference in the browser computes, and what the service answers."""

from typing import Any

from service.examples import load_examples
from service.schemas.catalogue import describe_normalizers, describe_score_models

CHECK_PAIRS = """
async ({ base, scoreModels, normalizers }) => {
  const { attend } = await import("./static/playground/reference/attend.js");
  const { compare } = await import("./static/playground/asking/check.js");
  const { readAnswer } = await import("./static/playground/asking/request.js");
  const found = [];
  for (const scoreModel of scoreModels) for (const normalizer of normalizers) {
    const request = { ...base, score_model: scoreModel, normalizer };
    const response = await fetch("v1/attention", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    const pair = `${scoreModel.name} ${normalizer.name}`;
    if (!response.ok) { found.push([pair, response.status, null]); continue; }
    const { passed, difference } = compare(request, readAnswer(await response.json()), attend(request));
    found.push([pair, passed, difference]);
  }
  return found;
}
"""


def every_pair() -> dict[str, Any]:
    """Return what CHECK_PAIRS takes: the parameters of the catalogue, and a mask that lets one row see nothing."""
    example = load_examples()["additive"].request
    base = {
        **{name: example[name] for name in ("query", "key", "value")},
        "mask": {"allowed": [[True, False, True, True], [True, True, True, False]]},
        "include": ["scores", "logits", "weights", "output", "diagnostics"],
    }
    base["query"] = [*base["query"], [-1.5, 0.25, 3, -2], [0, 0, 0, 0]]
    base["mask"]["allowed"] += [[True] * 4, [False] * 4]
    models = [entry["example"] for entry in describe_score_models()["score_models"]]
    normalizers = [entry["example"] for entry in describe_normalizers()["normalizers"]]
    normalizers += [{"name": "softmax", "sink": 0.5, "temperature": 0.05}]
    normalizers += [{"name": "entmax", "alpha": alpha} for alpha in (1, 1.001, 1.2, 3, 50)]
    return {"base": base, "scoreModels": models, "normalizers": normalizers}


def agreeing(found: list[list[Any]]) -> dict[str, float]:
    """Return the difference of each pair that the browser has compared; none of them differs.

    :param found: what CHECK_PAIRS returned.
    """
    assert len(found) == 9 * (8 + 6)
    # The browser reads no formulas: their answers are shown unchecked.
    assert {pair.split()[0] for pair, passed, _ in found if passed is None} == {"expression"}
    differing = [pair for pair, passed, _ in found if passed is not True and not pair.startswith("expression ")]
    # Proportions of negative scores are refused; with distances and the additive model every row has some.
    assert [pair for pair in differing if not pair.endswith(" proportional")] == []
    return {pair: difference for pair, passed, difference in found if passed is True}
