"""What to look at after a check, in both languages."""

from collections.abc import Mapping

from attention_core.checking import CheckResult
from attention_core.differences import FieldDifference
from service.explanation.numbers import short
from service.schemas.base import Text

ADVICE: Mapping[str, Text] = {
    "scale missing": Text(
        "得分没有乘以缩放系数：点积之后应乘以 scale，缺省为 1/√D。",
        "The scores were not scaled: multiply q·k by scale, by default 1/√D.",
    ),
    "scale doubled": Text(
        "缩放系数多用了一次，或大了一倍：在查询上或在得分上只乘一次。",
        "The scale was applied twice, or is twice as large: multiply either the queries or the scores, once.",
    ),
    "causal corner": Text(
        "因果对角线从另一个角开始：Lq ≠ Lk 时，左上角对齐用 offset 0，右下角对齐用 offset Lk − Lq。",
        "The causal diagonal starts at the other corner: with Lq ≠ Lk, offset 0 is the top left and Lk − Lq the bottom "
        "right.",
    ),
    "causal off by one": Text(
        "因果掩码差了一个位置：键 j 可见当且仅当 j ≤ i + offset，查询能看到自己。",
        "The causal mask is one position off: key j is visible iff j ≤ i + offset, so a query sees itself.",
    ),
    "window off by one": Text(
        "窗口宽度差一：两端都包含，即 p − left ≤ j ≤ p + right。",
        "The window is one key too narrow or too wide: both ends belong to it, p − left ≤ j ≤ p + right.",
    ),
    "heads tiled instead of interleaved": Text(
        "键值头的分组方式不对：查询头 h 使用键值头 h // (Hq/Hkv)（repeat），而不是 h % Hkv（tile）。",
        "Key and value heads are grouped wrongly: query head h uses head h // (Hq/Hkv), as repeat does, not h % Hkv as "
        "tile does.",
    ),
    "softcap after mask": Text(
        "软上限用在了掩码之后，把 −∞ 变成了 −softcap：先压缩得分，再加偏置和掩码。",
        "The soft cap comes after the mask and turns −∞ into −softcap: cap the scores first, then add bias and mask.",
    ),
    "softcap missing": Text(
        "没有使用软上限：得分应为 softcap · tanh(得分 / softcap)。",
        "The soft cap was left out: scores become softcap · tanh(score / softcap).",
    ),
    "mask inverted": Text(
        "掩码的真假反了：在 allowed 中，true 表示可以看到。",
        "The mask is inverted: in allowed, true means that the query may see the key.",
    ),
    "mask missing": Text("掩码没有生效：全部或其中一种没有用上。", "A mask was not applied: all of them, or one kind."),
    "bias missing": Text("没有加上偏置。", "The bias was not added."),
    "base-2 logsumexp": Text(
        "logsumexp 以 2 为底：乘以 ln 2 换成自然对数。",
        "logsumexp is to base 2: multiply by ln 2 for the natural logarithm.",
    ),
    "softmax over the wrong axis": Text(
        "归一化的轴不对：应沿键（最后一个轴）求和为 1，而不是沿查询。",
        "Weights were normalised over the queries: normalise over the keys, the last axis.",
    ),
    "rows without a visible key are NaN": Text(
        "没有可见键的行出现 0/0：这样的行权重和输出应为 0。",
        "Rows without a visible key are 0/0: their weights and output are 0.",
    ),
    "rows without a visible key are uniform": Text(
        "用很大的负数代替了 −∞：没有可见键的行权重应为 0，而不是平均分配。",
        "A large negative number stands in for −∞: rows without a visible key weigh 0, not 1/Lk each.",
    ),
    "rows in another order": Text(
        "每一行都对，但顺序不对：检查行的排列、转置或写回的位置。",
        "Every row is right, but in the place of another: look at the order of rows where they are written.",
    ),
}
"""By the name of the mistake."""

PASSED = Text("在容差之内，全部正确。", "Everything is right, within the tolerance.")

NOT_NUMBERS = Text(
    "{field} 中有 {count} 个 NaN，第一个在 {index}，参考值为 {expected}：检查 0/0 和 ∞ − ∞，"
    "例如 softmax 没有先减去本行最大值。",
    "{field} holds {count} NaN, the first at {index}, where {expected} is expected: look for 0/0 and ∞ − ∞, such as a "
    "softmax that does not take the largest logit off first.",
)

DIFFERENT = Text(
    "{field} 中有 {count} 个数不对，最差的在 {index}：应为 {expected}，收到 {received}。没有常见错误能重现这个结果；"
    "请用 /v1/attention/explain 逐步查看该位置。",
    "{field} holds {count} wrong numbers, the worst at {index}: {expected} is expected, {received} came. No usual "
    "mistake reproduces it; /v1/attention/explain shows every step there.",
)


def advice_on(result: CheckResult) -> Text:
    """Say what to look at: the likely cause, or where the worst number is."""
    if result.passed:
        return PASSED
    if result.likely_cause is not None:
        return ADVICE[result.likely_cause]
    name, field = next((name, field) for name, field in result.fields.items() if not field.passed)
    return (
        _filled(NOT_NUMBERS, name, field, field.wrong_nan)
        if field.wrong_nan
        else _filled(DIFFERENT, name, field, field.wrong)
    )


def _filled(text: Text, name: str, field: FieldDifference, count: int) -> Text:
    words = {
        "field": name,
        "count": count,
        "index": list(field.worst_index or ()),
        "expected": "" if field.expected is None else short(field.expected),
        "received": "" if field.received is None else short(field.received),
    }
    return Text(text.zh.format(**words), text.en.format(**words))
