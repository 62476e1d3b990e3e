"""One sentence a step, in both languages; names in braces are filled in with what the step is about.

A sentence under "softmax maximum" is for that normalizer's maximum, one under "maximum" for all others.
"""

from service.schemas.base import Text

SENTENCES: dict[str, Text] = {
    "rotary": Text(
        "旋转位置编码把{query}按位置 {query_position}、{key}按位置 {key_position} 旋转；下面的各项用旋转后的向量计算。",
        "Rotary embedding turns {query} by its position {query_position} and {key} by {key_position}; the terms below "
        "are those of the turned vectors.",
    ),
    "sum": Text(
        "把{query}和{key}逐项比较，{count} 项相加得 {value}；最大的一项是{largest}。",
        "{query} meets {key} term by term: {count} terms add up to {value}, the largest is {largest}.",
    ),
    "factor scale": Text("总和要乘以缩放系数 {value}。", "The sum is multiplied by the scale {value}."),
    "sum of one": Text("{query}和{key}只有一项可比：{largest}。", "{query} meets {key} in a single term, {largest}."),
    "factor default scale": Text(
        "总和要乘以缩放系数 {value}；除以 √D 使得分不随特征数变大，softmax 才不会饱和。",
        "The sum is multiplied by the scale {value}; dividing by √D keeps scores from growing with the number of "
        "features, which would saturate the softmax.",
    ),
    "factor scale and norms": Text(
        "除以两个向量的长度：只比较方向，不比较大小。",
        "Dividing by the lengths of both vectors leaves only their directions to compare.",
    ),
    "factor zero vector": Text(
        "零向量没有方向，得分定为 0。", "A zero vector has no direction, so its score is defined as 0."
    ),
    "factor bandwidth": Text(
        "带宽决定距离的影响：带宽越大，远处的键损失越少。",
        "The bandwidth sets how much distance matters: the larger, the less far keys lose.",
    ),
    "score": Text("{query}对{key}的得分是 {value}。", "{query} scores {key} with {value}."),
    "softcap": Text(
        "软上限把得分压到 −{softcap} 与 {softcap} 之间。",
        "The soft cap squeezes scores between −{softcap} and {softcap}.",
    ),
    "bias": Text("偏置给这一对加上 {value}。", "The bias adds {value} to this pair."),
    "alibi": Text(
        "ALiBi 按距离减分：{key}距离{query} {distance} 个位置。",
        "ALiBi takes away by distance: {key} is {distance} positions from {query}.",
    ),
    "mask visible": Text("{key}对{query}可见。", "{key} is visible to {query}."),
    "mask hidden": Text(
        "{key}对{query}不可见，被{masks}隐藏：就像这个键不存在。",
        "{key} is hidden from {query} by {masks}: as if the key were not there.",
    ),
    "logit": Text("归一化从 {value} 开始。", "Normalisation starts from {value}."),
    "softmax maximum": Text(
        "先减去本行最大的指数 {value}，这样指数函数不会溢出，权重不变。",
        "The largest exponent of the row, {value}, is taken off first: nothing overflows, and no weight changes.",
    ),
    "exponential": Text(
        "取指数：得分每低 1（温度为 1 时），份额约缩小到 37%。",
        "The exponential: with temperature 1, each point less leaves about 37 % of the share.",
    ),
    "denominator": Text(
        "本行全部 {visible} 个可见键的指数之和；有汇点时再加上它的一份。",
        "The sum of the exponentials of all {visible} visible keys of the row; a sink adds its own.",
    ),
    "weight": Text("{key}分到{query}注意力的 {percent}%。", "{key} receives {percent} % of the attention of {query}."),
    "proportional denominator": Text(
        "本行全部 {visible} 个可见键的得分之和。", "The sum of the logits of all {visible} visible keys of the row."
    ),
    "proportional weight": Text(
        "按比例，{key}分到{query}注意力的 {percent}%。",
        "In proportion, {key} receives {percent} % of the attention of {query}.",
    ),
    "threshold": Text(
        "阈值使本行权重之和为 1；低于它的键权重恰为 0。",
        "The threshold makes the row sum to 1; keys below it weigh exactly 0.",
    ),
    "sigmoid exponential": Text("sigmoid 只看这一个键。", "The sigmoid looks at this key alone."),
    "sigmoid denominator": Text(
        "各行之和不必为 1：每个键各自决定。", "Rows need not sum to 1: each key is decided on its own."
    ),
    "sigmoid weight": Text("{key}的权重是 {value}。", "{key} weighs {value}."),
    "relu denominator": Text("本行有 {value} 个可见键。", "The row has {value} visible keys."),
    "relu weight": Text(
        "正的得分平摊到可见键的个数上，负的为 0。", "A positive logit is shared by the count, a negative one is 0."
    ),
    "maximum": Text("本行最大的得分是 {value}。", "The largest logit of the row is {value}."),
    "hardmax weight": Text(
        "最大的键得到全部注意力，并列时取最前面的：{key}的权重是 {value}。",
        "The largest takes all, the first one on ties: {key} weighs {value}.",
    ),
    "none weight": Text(
        "不做归一化：权重就是得分 {value}。", "Nothing is normalised: the weight is the logit, {value}."
    ),
    "weight hidden": Text(
        "归一化之前为 −∞ 的键权重恰为 0，就像不存在。",
        "A key whose logit is −∞ weighs exactly 0, as if it were not there.",
    ),
    "weight empty": Text(
        "{query}看不到任何键：全部权重和输出都是 0。",
        "{query} sees no key at all: every weight is 0, and so is the output.",
    ),
    "weight poisoned": Text(
        "本行的可见得分里有 NaN 或正无穷，权重无法计算。",
        "The visible logits of this row contain NaN or plus infinity, so its weights cannot be computed.",
    ),
    "contribution": Text(
        "{key}的值乘以权重，就是它在输出中的一份。", "The value of {key} times its weight is its share of the output."
    ),
}

TERMS: dict[str, Text] = {
    "feature": Text("特征 {}", "feature {}"),
    "unit": Text("隐藏单元 {}", "unit {}"),
    "query feature": Text("查询特征 {}", "query feature {}"),
    "key feature": Text("键特征 {}", "key feature {}"),
    "product": Text("乘积 {}", "product {}"),
}
"""What sentences call the terms of a score; the core counts each kind from 0."""

MASKS: dict[str, Text] = {
    "causal": Text("因果掩码", "the causal mask"),
    "window": Text("窗口", "the window"),
    "key_lengths": Text("键长度", "the key lengths"),
    "segments": Text("分段", "the segments"),
    "allowed": Text("布尔掩码", "the boolean mask"),
    "bias": Text("偏置", "the bias"),
}
"""What sentences call whatever hides a key."""

AND = Text("和", " and ")

QUERY = Text("查询 {} ", "query {}")
KEY = Text("键 {} ", "key {}")
"""What queries and keys without labels are called."""
