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
        "缩放系数多用了一次（1/√D 变成 1/D），或大了一倍：在查询上或在得分上只乘一次。",
        "The scale was applied twice (1/D in place of 1/√D), or is twice as large: multiply either the queries or the "
        "scores, once.",
    ),
    "scale inverted": Text(
        "缩放系数用反了：应除以 √D，而不是乘以 √D。",
        "The scale is upside down: divide by √D, do not multiply by it.",
    ),
    "scale of the model size": Text(
        "缩放系数用了全部头的特征数：D 是每个头的特征数，不是 H·D。",
        "The scale counts the features of all heads: D is the size of one head, not H·D.",
    ),
    "scale ignored": Text(
        "没有使用请求中的 scale，用的是缺省值 1/√D。",
        "The request's scale was not used, but the default 1/√D.",
    ),
    "temperature ignored": Text(
        "温度没有生效，或乘除用反了：softmax 之前 logits 应除以 temperature。",
        "The temperature was not used, or the wrong way round: divide the logits by it before the softmax.",
    ),
    "causal corner": Text(
        "因果对角线从另一个角开始：Lq ≠ Lk 时，左上角对齐用 offset 0，右下角对齐用 offset Lk − Lq"
        "（有 key_lengths 时为该长度 − Lq）。",
        "The causal diagonal starts at the other corner: with Lq ≠ Lk, offset 0 is the top left and Lk − Lq the bottom "
        "right (with key_lengths, that length − Lq).",
    ),
    "causal off by one": Text(
        "因果掩码差了一个位置：键 j 可见当且仅当 j ≤ i + offset，查询能看到自己。",
        "The causal mask is one position off: key j is visible iff j ≤ i + offset, so a query sees itself.",
    ),
    "window off by one": Text(
        "窗口宽度差一：两端都包含，即 p − left ≤ j ≤ p + right。",
        "The window is one key too narrow or too wide: both ends belong to it, p − left ≤ j ≤ p + right.",
    ),
    "key lengths off by one": Text(
        "key_lengths 差一：键 j 可见当且仅当 j < 长度。",
        "The key lengths are one off: key j is visible iff j < length.",
    ),
    "mask inverted": Text(
        "掩码的真假反了：在 allowed 中，true 表示可以看到；causal 看的是过去（tril），不是未来（triu）。",
        "The mask is inverted: in allowed, true means that the query may see the key; causal shows the past (tril), "
        "not the future (triu).",
    ),
    "mask transposed": Text(
        "掩码的行列颠倒：行是查询，列是键；key_lengths 隐藏的是键，不是查询。",
        "The mask has rows for columns: a row is a query and a column a key; key_lengths hides keys, not queries.",
    ),
    "mask missing": Text("掩码没有生效：全部或其中一种没有用上。", "A mask was not applied: all of them, or one kind."),
    "mask after softmax": Text(
        "掩码乘在 softmax 之后，权重之和不再为 1：应在 softmax 之前把隐藏位置设为 −∞。",
        "The mask multiplies the weights, which then no longer sum to 1: put −∞ at what is hidden before the softmax.",
    ),
    "masked scores set to zero": Text(
        "得分乘了掩码，隐藏位置的得分成了 0，仍有权重：应设为 −∞。",
        "The scores were multiplied by the mask, and a hidden key with a score of 0 still has a weight: select −∞ "
        "there.",
    ),
    "past keys ignored": Text(
        "只看了新的键值，缓存中的 past_key 与 past_value 没有用上。",
        "Only the new keys were looked at: past_key and past_value come before them.",
    ),
    "past and new keys swapped": Text(
        "缓存拼接的顺序反了：先 past，后 new。",
        "The cache was joined the wrong way round: the past comes first, then the new keys and values.",
    ),
    "heads tiled instead of interleaved": Text(
        "键值头的分组方式不对：查询头 h 使用键值头 h // (Hq/Hkv)（repeat），而不是 h % Hkv（tile）。",
        "Key and value heads are grouped wrongly: query head h uses head h // (Hq/Hkv), as repeat does, not h % Hkv as "
        "tile does.",
    ),
    "heads grouped wrongly": Text(
        "键值头的分组比例不对：查询头 h 使用键值头 h // (Hq/Hkv)，而不是 h // Hkv，也不是都用第一个头。",
        "Key and value heads are grouped by a wrong ratio: query head h uses head h // (Hq/Hkv), not h // Hkv, and not "
        "the first for all.",
    ),
    "heads reshaped without transposing": Text(
        "拆头或并头时只 reshape 没有转置：(B, L, H·D) 应先变为 (B, L, H, D)，再转置为 (B, H, L, D)；输出反过来。",
        "Heads were reshaped but not transposed: (B, L, H·D) becomes (B, L, H, D) first and is then transposed to "
        "(B, H, L, D); the output goes the same way back.",
    ),
    "softcap after mask": Text(
        "软上限用在了掩码或偏置之后，把 −∞ 变成了 −softcap：先压缩得分，再加偏置和掩码。",
        "The soft cap comes after mask or bias and turns −∞ into −softcap: cap the scores first, then add bias and "
        "mask.",
    ),
    "softcap before scale": Text(
        "软上限用在了缩放之前：先乘以 scale，再压缩。",
        "The soft cap comes before the scale: multiply by scale first, then cap.",
    ),
    "softcap missing": Text(
        "没有使用软上限：得分应为 softcap · tanh(得分 / softcap)。",
        "The soft cap was left out: scores become softcap · tanh(score / softcap).",
    ),
    "bias missing": Text("没有加上偏置。", "The bias was not added."),
    "bias scaled": Text(
        "偏置（或 ALiBi）在缩放之前就加上了：应先乘以 scale，再加偏置。",
        "The bias (or ALiBi) was added before the scale and scaled with it: scale q·k first, then add.",
    ),
    "alibi sign": Text(
        "ALiBi 的符号不对：应减去 slope · |i + offset − j|，距离越远越小，未来的键也一样。",
        "ALiBi has the wrong sign: take slope · |i + offset − j| off, so that far keys lose, future ones as well.",
    ),
    "alibi slopes": Text(
        "ALiBi 的斜率不对：slope_h = 2^(−8h/n)，h 从 1 数起；n 不是 2 的幂时按论文的规则取值；请求给了 slopes 就用它。",
        "ALiBi has other slopes: slope_h = 2^(−8h/n) with h counted from 1; when n is no power of two the paper's rule "
        "applies, and slopes that are given come first.",
    ),
    "rotary pairing": Text(
        "旋转编码的配对方式不对：缺省为 (m, m + D/2)，interleaved 为 (2m, 2m + 1)。",
        "Rotary turns other pairs: (m, m + D/2) by default, (2m, 2m + 1) when interleaved.",
    ),
    "rotary base": Text("没有使用请求中的 base，用的是 10000。", "The request's rotary base was not used, but 10000."),
    "positions from zero": Text(
        "查询的位置从 0 数起：有缓存时，第一个查询位于 offset（缺省为缓存长度）。",
        "Query positions start at 0: with a cache the first query stands at offset, by default the past length.",
    ),
    "position missing": Text("位置编码没有生效。", "The position encoding was not applied."),
    "sink missing": Text(
        "分母（或 logsumexp）中没有 sink：Σ exp(z/T) + exp(sink)。",
        "The denominator, or its logarithm, lacks the sink: Σ exp(z/T) + exp(sink).",
    ),
    "sink not shifted by the maximum": Text(
        "减去最大值之后，sink 没有跟着减：分母应为 Σ exp(z/T − m) + exp(sink − m)。",
        "The maximum was taken off the logits but not off the sink: the denominator is Σ exp(z/T − m) + exp(sink − m).",
    ),
    "base-2 logsumexp": Text(
        "logsumexp 以 2 为底：乘以 ln 2 换成自然对数。",
        "logsumexp is to base 2: multiply by ln 2 for the natural logarithm.",
    ),
    "logsumexp without the maximum": Text(
        "logsumexp 少加了先减去的最大值：log Σ exp(z − m) + m。",
        "logsumexp lacks the maximum that was taken off: log Σ exp(z − m) + m.",
    ),
    "base-2 softmax": Text(
        "用了 2^z 而不是 e^z：使用 exp2 时先把 logits 乘以 log₂e。",
        "Weights are 2^z in place of e^z: multiply the logits by log₂e before exp2.",
    ),
    "denominator missing": Text(
        "没有除以分母：在线 softmax 最后要除以 Σ exp(z − m)。",
        "Nothing was divided by the denominator: an online softmax divides by Σ exp(z − m) at its end.",
    ),
    "softmax over the wrong axis": Text(
        "归一化的轴不对：应沿键（最后一个轴）求和为 1，而不是沿查询、头或批。",
        "Weights were normalised over queries, heads or batch: normalise over the keys, the last axis.",
    ),
    "maximum not subtracted": Text(
        "exp 溢出或全部为 0：softmax 之前先减去本行最大值。",
        "exp overflows, or all of a row vanishes: take the row's largest logit off before the exponential.",
    ),
    "rows without a visible key are NaN": Text(
        "没有可见键的行出现 0/0：这样的行权重和输出应为 0，logsumexp 为 −∞。",
        "Rows without a visible key are 0/0: their weights and output are 0, their logsumexp −∞.",
    ),
    "large negative number instead of minus infinity": Text(
        "用很大的负数代替了 −∞：没有可见键的行权重和输出应为 0，而不是各键的平均。",
        "A large negative number stands in for −∞: rows without a visible key weigh 0 and give 0, not a mixture of all "
        "keys.",
    ),
    "scores not raw": Text(
        "scores 里已经有软上限、偏置或掩码：这里的 scores 是 a(q, k) 本身。",
        "The cap, the bias or the mask is in the scores already: here scores are a(q, k) itself.",
    ),
    "dropout": Text(
        "权重上还有 dropout：一部分为 0，其余放大了同一倍数；推理时应关闭。",
        "Dropout is still on: some weights are 0 and all others larger by one factor; turn it off for inference.",
    ),
    "axes transposed": Text(
        "数都对，但有两个轴颠倒了：检查 QKᵀ 的方向和写回的布局。",
        "The numbers are right but two axes have changed places: look at the direction of QKᵀ and the layout written.",
    ),
    "rows in another order": Text(
        "每一行都对，但位置不对：检查查询、头、批的排列和写回的位置。",
        "Every row is right, but in the place of another: look at the order of queries, heads and batch rows where "
        "they are written.",
    ),
}
"""By the name of the mistake."""

PASSED = Text("在容差之内，全部正确。", "Everything is right, within the tolerance.")

NOT_NUMBERS = Text(
    "{field} 中有 {nan} 个 NaN，第一个不对的在 {index}，参考值为 {expected}：检查 0/0 和 ∞ − ∞，"
    "例如 softmax 没有先减去本行最大值。",
    "{field} holds {nan} NaN; the first wrong number is at {index}, where {expected} is expected: look for 0/0 and "
    "∞ − ∞, such as a softmax that does not take the largest logit off first.",
)

OVERFLOWED = Text(
    "{field} 中有 {infinities} 个 ∞，第一个不对的在 {index}，参考值为 {expected}：检查溢出，"
    "{dtype} 放不下的中间结果要用更宽的类型。",
    "{field} holds ∞ in {infinities} places; the first wrong number is at {index}, where {expected} is expected: look "
    "for an overflow, and keep what {dtype} cannot hold in a wider type.",
)

DIFFERENT = Text(
    "{field} 的 {size} 个数中有 {wrong} 个不对，最差的在 {index}：应为 {expected}，收到 {received}。",
    "{field} holds {wrong} wrong numbers out of {size}, the worst at {index}: {expected} is expected, {received} came.",
)

FIRST = Text(
    "{right} 是对的，{field} 是第一个不对的步骤。", "Right up to {right}; {field} is the first step that is not."
)

BY_A_FACTOR = Text(
    "所有的数都是参考值的 {factor} 倍：检查多乘、少乘或少除的系数。",
    "All of it is {factor} times what is expected: look for a factor or a division too many or too few.",
)

COARSER = Text(
    "按 {coarser} 计算则在缺省容差之内：如果确实是用 {coarser} 计算的，请在请求中写明 dtype {coarser}，"
    "或放宽 rtol 和 atol。",
    "As {coarser} it is within the default tolerance: if that is what it was computed in, send dtype {coarser} in the "
    "request, or a larger rtol and atol.",
)

UNKNOWN = Text(
    "没有常见错误能重现这个结果；请用 /v1/attention/explain 逐步查看该位置。",
    "No usual mistake reproduces it; /v1/attention/explain shows every step there.",
)

PIPELINE = ("scores", "logsumexp", "weights", "output")
"""Fields in the order in which they come about: what is wrong early makes all that follows wrong."""


def advice_on(result: CheckResult) -> Text:
    """Say what to look at: the likely cause, or the first step that is wrong, and where and how it is."""
    if result.passed:
        return PASSED
    if result.likely_cause is not None:
        return ADVICE[result.likely_cause]
    name = next(name for name in PIPELINE if name in result.fields and not result.fields[name].passed)
    before = [one for one in PIPELINE[: PIPELINE.index(name)] if one in result.fields]
    field = result.fields[name]
    said = [*([FIRST] if before else []), _finding(field), _reading(result, field)]
    words = {
        "field": name,
        "right": before[-1] if before else "",
        "nan": field.wrong_nan,
        "infinities": field.wrong_infinities,
        "wrong": field.wrong,
        "size": field.size,
        "index": list(field.worst_index or ()),
        "expected": _written(field.expected),
        "received": _written(field.received),
        "factor": _written(field.factor),
        "coarser": result.coarser,
        "dtype": result.dtype,
    }
    return Text("".join(one.zh for one in said).format(**words), " ".join(one.en for one in said).format(**words))


def _finding(field: FieldDifference) -> Text:
    """What is wrong with the field."""
    if field.wrong_nan:
        return NOT_NUMBERS
    return OVERFLOWED if field.wrong_infinities else DIFFERENT


def _reading(result: CheckResult, field: FieldDifference) -> Text:
    """What that may mean."""
    if field.factor is not None:
        return BY_A_FACTOR
    return UNKNOWN if result.coarser is None else COARSER


def _written(number: float | None) -> str:
    return "" if number is None else short(number)
