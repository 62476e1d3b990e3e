"""Partial results to try: what /v1/attention answered to requests that hold a part of the keys each."""

from service.schemas.base import Text
from service.specification.examples import NamedExamples, described

FRONT = {"output": [[0.8424223586523641, 0.3400690145312319, 0.07003450726561594]], "logsumexp": [3.3424764655865786]}
"""The support looks at marksman and jungler only."""

BACK = {"output": [[0.13363755443363323, 0.23363755443363324, 0.9336375544336334]], "logsumexp": [1.603186048885458]}
"""The support looks at mid and top lane only."""

MERGES: NamedExamples = {
    "two-halves": described(
        Text("两半合成一体", "Two halves make a whole"),
        Text(
            "王者荣耀的例子分成两半：一半的键是射手、打野，另一半是中路、上路。合并之后与一次算完相同：0.7365、0.3242、0.1991。",
            "The Honor of Kings example in two halves: marksman and jungler in one, mid and top lane in the other. "
            "Merged they are what one request gives: 0.7365, 0.3242, 0.1991.",
        ),
        {"partials": [FRONT, BACK]},
    ),
    "nothing-seen": described(
        Text("有一份什么也没看到", "One part saw nothing"),
        Text(
            "两个查询；第一个查询在后一半里看不到任何键，logsumexp 为 null（−∞），这一份对它没有影响。",
            "Two queries. The first sees no key of the second half, whose logsumexp is null (−∞) there, so that this "
            "half changes nothing for it.",
        ),
        {
            "partials": [
                {
                    "output": [[0.842422, 0.340069, 0.070035], [0.257578, 0.859931, 0.329965]],
                    "logsumexp": [3.342476, 2.917476],
                },
                {"output": [[0, 0, 0], [0.09875, 0.19875, 0.89875]], "logsumexp": [None, 1.555725]},
            ]
        },
    ),
    "sink-in-one": described(
        Text("汇点只在一份里", "The sink is in one part"),
        Text(
            "汇点是一个不带值的键，所以只能有一份知道它。这里是前一半（sink 为 1.5）。",
            "A sink is a key without a value, so that one part alone may know of it: here the first, where it is 1.5.",
        ),
        {
            "partials": [
                {
                    "output": [[0.727213798544523, 0.293561628896180, 0.060456681300929]],
                    "logsumexp": [3.48953745008478],
                },
                BACK,
            ]
        },
    ),
    "heads": described(
        Text("四个头，两份键", "Four heads, the keys in two parts"),
        Text(
            "前面的轴原样保留：一批、四个查询头、一个查询；每一份有一个键。",
            "Leading axes stay as they are: one batch row, four query heads, one query; each part has one key.",
        ),
        {
            "partials": [
                {"output": [[[[1]], [[1]], [[3]], [[3]]]], "logsumexp": [[[1.414214], [0], [1.414214], [0.707107]]]},
                {"output": [[[[2]], [[2]], [[4]], [[4]]]], "logsumexp": [[[0], [0.707107], [-0.707107], [0.707107]]]},
            ]
        },
    ),
    "not-a-number": described(
        Text("有一份是 NaN", "One part is NaN"),
        Text(
            "得分溢出的行是 NaN，合并之后仍是 NaN；另一行不受影响。",
            "A row whose scores overflowed is NaN and stays so when it is merged; the other row is not harmed.",
        ),
        {
            "partials": [
                {"output": [["NaN"], [1]], "logsumexp": ["Infinity", 0.5]},
                {"output": [[2], [2]], "logsumexp": [0.5, 0.5]},
            ]
        },
    ),
    "float16": described(
        Text("以 float16 返回", "Returned as float16"),
        Text(
            "半精度的输出先以更宽的类型合并，最后只舍入一次。",
            "Outputs in half precision are merged in a wider type and rounded once, at the end.",
        ),
        {
            "partials": [
                {"output": [[0.8423, 0.34, 0.07]], "logsumexp": [3.3427732]},
                {"output": [[0.13354, 0.2336, 0.9336]], "logsumexp": [1.6031533]},
            ],
            "dtype": "float16",
        },
    ),
}
