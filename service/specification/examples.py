"""Requests to try, and what the service answers."""

from importlib.resources import files
from typing import Any

import orjson

from service.examples import Example, load_examples
from service.schemas.base import Text

NamedExamples = dict[str, dict[str, Any]]
"""Requests by name, as OpenAPI wants them."""


def example(title: Text, story: Text, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request with its title and story in both languages."""
    return {
        "summary": f"{title.zh} · {title.en}",
        "description": f"{story.zh}\n\n{story.en}",
        "value": request,
    }


ANSWERS: dict[str, dict[str, Any]] = orjson.loads(files(__package__).joinpath("answers.json").read_bytes())
"""What the first example of each endpoint is answered, to six decimals."""

SUPPORT: dict[str, Any] = {
    "query": [[2, 1, 1, 0]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
    "labels": {"query": ["团战"], "key": ["射手", "打野", "中路", "上路"]},
}
"""The team fight of Honor of Kings."""

TWO_FIGHTS: dict[str, Any] = SUPPORT | {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "labels": {"query": ["团战", "抢龙"], "key": ["射手", "打野", "中路", "上路"]},
}
"""The team fight, and then the fight for the dragon."""

GROUPED_HEADS: dict[str, Any] = {
    "query": [[[[1, 0]], [[0, 1]], [[1, 1]], [[2, -1]]]],
    "key": [[[[2, 0], [0, 1]], [[1, 1], [0, -1]]]],
    "value": [[[[1], [2]], [[3], [4]]]],
}
"""One batch row, four query heads that share two key heads, one query, two keys."""

NO_MARKSMAN = {"allowed": [[False, True, True, True]]}

EXPLANATIONS: NamedExamples = {
    "why-0.7017": example(
        Text("射手为什么得到 0.7017", "Why the marksman receives 0.7017"),
        Text("从四个乘积到权重，每一步一句话。", "From four products to the weight, a sentence for each step."),
        {"request": SUPPORT, "query_index": 0, "key_index": 0, "language": "en"},
    ),
    "why-0.7017-zh": example(
        Text("同上，用中文", "The same in Chinese"),
        Text("language 决定句子的语言，数字不变。", "language sets that of the sentences; the numbers stay."),
        {"request": SUPPORT, "query_index": 0, "key_index": 0, "language": "zh"},
    ),
    "masked": example(
        Text("看不到的键", "A key that is hidden"),
        Text(
            "masked_by 说出是哪一种掩码；得分照样算出，权重恰为 0。",
            "masked_by names the mask; the score is there all the same, the weight is exactly 0.",
        ),
        {"request": SUPPORT | {"mask": NO_MARKSMAN}, "query_index": 0, "key_index": 0},
    ),
    "additive": example(
        Text("加性注意力的每个隐藏单元", "Every hidden unit of additive attention"),
        Text("每一项是 v·tanh(…)：一个隐藏单元的贡献。", "Each term is v·tanh(…), what one hidden unit adds."),
        {
            "request": SUPPORT
            | {
                "score_model": {
                    "name": "additive",
                    "query_weight": [[0, 0, 0, -2], [-2, 0, 0, 0]],
                    "key_weight": [[0.5, 0, 0, 0], [0, 0, 0, 0.5]],
                    "score_vector": [3.8, 3.8],
                }
            },
            "query_index": 0,
            "key_index": 1,
        },
    ),
    "gaussian": example(
        Text("距离而不是乘积", "Distances instead of products"),
        Text(
            "高斯核：每个特征的差的平方，乘以 −1/(2·带宽²)。",
            "The gaussian kernel: each feature's squared difference, times −1/(2·bandwidth²).",
        ),
        {
            "request": SUPPORT | {"score_model": {"name": "gaussian", "bandwidth": 1.5}},
            "query_index": 0,
            "key_index": 2,
        },
    ),
    "sparsemax": example(
        Text("恰为零的权重", "A weight of exactly zero"),
        Text(
            "sparsemax 减去一个阈值：中路在阈值之下，什么也得不到。",
            "Sparsemax takes off a threshold: the mid lane lies below it and receives nothing.",
        ),
        {
            "request": SUPPORT
            | {"score_model": {"name": "scaled_dot_product", "scale": 0.25}, "normalizer": "sparsemax"},
            "query_index": 0,
            "key_index": 2,
        },
    ),
    "rotary": example(
        Text("按位置旋转", "Turned by position"),
        Text(
            "旋转位置编码：各项是旋转之后的向量的乘积。第二个查询从位置 3 看过去。",
            "Rotary embedding: the terms are products of turned vectors. The second query looks from position 3.",
        ),
        {
            "request": TWO_FIGHTS | {"position": "rotary", "mask": {"causal": True, "offset": 2}},
            "query_index": 1,
            "key_index": 0,
        },
    ),
    "one-head-of-four": example(
        Text("批与头的下标", "Batch and head"),
        Text(
            "index 给出前导轴的下标：第 0 批、第 3 个查询头，它与第 2 个头共用第 1 个键头。汇点也分走一份注意力。",
            "index leads through the leading axes: batch row 0, query head 3, which shares key head 1 with head 2. "
            "The sink takes a share of the attention too.",
        ),
        {
            "request": GROUPED_HEADS | {"normalizer": {"name": "softmax", "sink": [0, 0, 0, 1.5]}},
            "index": [0, 3],
            "query_index": 0,
            "key_index": 1,
        },
    ),
}

COMPARISONS: NamedExamples = {
    "scale-and-temperature": example(
        Text("不缩放，或改变温度", "Without the scale, or at another temperature"),
        Text(
            "缩放与温度都改变锐度，方向相反。",
            "Scale and temperature both change the sharpness, in opposite directions.",
        ),
        {
            "base": SUPPORT | {"include": ["weights"], "decimals": 4},
            "variants": [
                {"label": "unscaled", "overrides": {"score_model": "dot_product"}},
                {"label": "T = 2", "overrides": {"normalizer": {"name": "softmax", "temperature": 2}}},
            ],
        },
    ),
    "marksman-at-base": example(
        Text("射手回城", "The marksman goes back to base"),
        Text("掩码把射手的份额分给其余三人。", "The mask hands the marksman's share to the other three."),
        {"base": SUPPORT, "variants": [{"label": "回城", "overrides": {"mask": NO_MARKSMAN}}]},
    ),
    "temperature-sweep": example(
        Text("从冷到热", "From cold to hot"),
        Text(
            "温度从 0.25 到 4：先是一人独占，后是几乎平均。合并补丁只需写出改变的字段。",
            "Temperature from 0.25 to 4: first one takes all, then all have nearly the same. "
            "A merge patch names only what changes.",
        ),
        {
            "base": SUPPORT
            | {"normalizer": {"name": "softmax", "temperature": 1}, "include": ["weights", "diagnostics"]},
            "variants": [
                {"label": f"T = {temperature}", "overrides": {"normalizer": {"temperature": temperature}}}
                for temperature in (0.25, 0.5, 2, 4)
            ],
        },
    ),
    "cosine-or-dot-product": example(
        Text("只比方向，还是也比大小", "Directions alone, or lengths too"),
        Text(
            "余弦不看长度；改变 name 就整体替换打分函数，旧的参数不会留下。",
            "Cosine does not see lengths; a changed name replaces the score model, parameters and all.",
        ),
        {
            "base": TWO_FIGHTS | {"score_model": {"name": "scaled_dot_product", "scale": 0.5}},
            "variants": [
                {"label": "cosine", "overrides": {"score_model": {"name": "cosine"}}},
                {"label": "dot product", "overrides": {"score_model": "dot_product"}},
            ],
        },
    ),
    "null-removes": example(
        Text("去掉掩码，换一种归一化", "Without the mask, or normalised otherwise"),
        Text(
            "null 删除字段，于是用缺省值；对象逐个字段合并。",
            "null removes a field, so that its default applies; objects are merged field by field.",
        ),
        {
            "base": TWO_FIGHTS | {"mask": {"causal": True, "offset": 1}, "bias": [0, 0.5, 0, 0]},
            "variants": [
                {"label": "everything visible", "overrides": {"mask": None}},
                {"label": "top left", "overrides": {"mask": {"offset": None}}},
                {"label": "sparsemax", "overrides": {"normalizer": "sparsemax", "bias": None}},
            ],
        },
    ),
    "precision": example(
        Text("精度够不够", "Is the precision enough"),
        Text(
            "同一个请求用四种数值类型计算：max_abs_difference 就是损失。",
            "One request in four dtypes: max_abs_difference is what is lost.",
        ),
        {
            "base": TWO_FIGHTS,
            "variants": [
                {"label": dtype, "overrides": {"dtype": dtype}} for dtype in ("float32", "float16", "bfloat16")
            ],
        },
    ),
}

CHECKS: NamedExamples = {
    "scale-missing": example(
        Text("忘了除以 √D", "The division by √D was forgotten"),
        Text("权重过于集中；likely_cause 说出原因。", "The weights are too sharp; likely_cause says why."),
        {
            "request": SUPPORT,
            "candidate": {"weights": [[0.9343, 0.0421, 0.0189, 0.0047]]},
            "rtol": 0,
            "atol": 5e-5,
        },
    ),
    "right": example(
        Text("正确的结果", "A right result"),
        Text("容差按 dtype 取缺省值。", "The tolerances are those of the dtype."),
        {"request": SUPPORT | {"dtype": "float32"}, "candidate": {"scores": [[3.15, 1.6, 1.2, 0.5]]}},
    ),
    "not-a-number": example(
        Text("结果里有 NaN", "A result with NaN"),
        Text(
            "NaN 写作字符串；advice 说出第一个在哪里。",
            "NaN is written as a string; advice says where the first one is.",
        ),
        {"request": SUPPORT, "candidate": {"output": [["NaN", 0.3242, 0.1991]]}, "atol": 1e-3},
    ),
    "causal-corner": example(
        Text("因果对角线的起点", "The corner of the causal diagonal"),
        Text(
            "两个查询、四个键：请求从右下角对齐，收到的结果从左上角对齐。",
            "Two queries, four keys: the request aligns at the bottom right, the candidate at the top left.",
        ),
        {
            "request": TWO_FIGHTS | {"mask": {"causal": True, "offset": "bottom_right"}},
            "candidate": {"weights": [[1, 0, 0, 0], [0.1751, 0.8249, 0, 0]]},
            "rtol": 0,
            "atol": 5e-5,
        },
    ),
    "mask-inverted": example(
        Text("掩码的真假反了", "True and false swapped in the mask"),
        Text("在这里 true 表示可以看到。", "Here true means that the query may see the key."),
        {
            "request": SUPPORT | {"mask": NO_MARKSMAN},
            "candidate": {"weights": [[1, 0, 0, 0]], "output": [[1, 0.2, 0]]},
        },
    ),
    "base-2-logsumexp": example(
        Text("以 2 为底的对数", "A logarithm to base 2"),
        Text("GPU 内核常用 exp2，最后要乘以 ln 2。", "Kernels like exp2 and have to multiply by ln 2 in the end."),
        {"request": SUPPORT, "candidate": {"logsumexp": [5.0556266973]}},
    ),
    "heads-tiled-instead-of-interleaved": example(
        Text("键值头的分组", "How heads share keys"),
        Text(
            "四个查询头共用两个键头：查询头 1 用键头 0，而不是键头 1。",
            "Four query heads share two key heads: query head 1 uses key head 0, not key head 1.",
        ),
        {
            "request": GROUPED_HEADS,
            "candidate": {"output": [[[[1.1955703175]], [[3.1955703175]], [[1.3302384507]], [[3.5]]]]},
        },
    ),
}


def worked_examples() -> NamedExamples:
    """Return the worked examples."""
    return {name: _worked(one) for name, one in load_examples().items()}


def _worked(one: Example) -> dict[str, Any]:
    return example(Text(**one.title), Text(**one.story), one.request)
