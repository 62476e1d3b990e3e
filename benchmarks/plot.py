"""Draw the pictures in `results`, each from its figures if they are there.

python -m benchmarks.plot
"""

import sys

from benchmarks.diagram import Panel, Picture, Series
from benchmarks.figures import FOLDER, load

ORANGE, BLUE, GREY, GREEN = (
    ("#b35900", "#f0883e"),
    ("#0969da", "#58a6ff"),
    ("#57606a", "#9198a1"),
    ("#1a7f37", "#3fb950"),
)

TIME = "time, ms 时间（毫秒）"


def short_length(length: int) -> str:
    """Return 512, 1k, 32k."""
    return f"{length // 1024}k" if length >= 1024 else str(length)


def short_size(size: int) -> str:
    """Return 3 KiB, 1 MiB."""
    return f"{size / 2**20:.3g} MiB" if size >= 2**20 else f"{size / 2**10:.3g} KiB"


LONG_SEQUENCES = Picture(
    title="Time and memory against length 时间和内存随长度的变化",
    series=(
        Series("all", "scores, weights and output 分数、权重和输出", 80, *ORANGE),
        Series("output", "output only 仅输出", 440, *BLUE),
        Series("PyTorch", "PyTorch", 620, *GREY, dashed=True),
    ),
    panels=(
        Panel(TIME, "seconds", 1e-3, 80),
        Panel("memory beside inputs, MiB 输入之外的内存（MiB）", "bytes", 2**20, 500),
    ),
    across="length",
    across_words="queries = keys 查询数 = 键数",
    short=short_length,
)

PAYLOADS = Picture(
    title="Latency against payload size 延迟随数据大小的变化",
    series=(
        Series("JSON", "JSON", 80, *ORANGE),
        Series("safetensors", "safetensors", 200, *GREEN),
        Series("binary V2", "binary V2 二进制", 360, *BLUE),
        Series("core", "core alone 仅核心计算", 560, *GREY, dashed=True),
    ),
    panels=(Panel(TIME, "seconds", 1e-3, 80, 700),),
    across="bytes",
    across_words="query, key and value as float32 查询、键、值的大小（float32）",
    short=short_size,
)

OVERLOAD = Picture(
    title="Load beyond what can be served 超出处理能力的负载",
    series=(
        Series("answered", "answered 已完成", 80, *BLUE),
        Series("refused", "refused with 429 被拒绝（429）", 240, *ORANGE, dashed=True),
    ),
    panels=(
        Panel("requests a second 每秒请求数", "per_second", 1, 60, 220),
        Panel("median, ms 中位延迟（毫秒）", "p50", 1e-3, 345, 220),
        Panel("99th percentile, ms 99% 分位（毫秒）", "p99", 1e-3, 625, 220),
    ),
    across="percent",
    across_words="load in percent of capacity 负载占处理能力的百分比",
    short=str,
)

PICTURES = {
    "lengths": (LONG_SEQUENCES, "long-sequences.svg"),
    "payloads": (PAYLOADS, "payloads.svg"),
    "overload": (OVERLOAD, "overload.svg"),
}
"""Whose figures are drawn how, and where."""


def main() -> int:
    """Write the pictures."""
    for figures, (picture, file) in PICTURES.items():
        if (FOLDER / f"{figures}.json").exists():
            (FOLDER / file).write_text(picture.draw(list(load(figures)["rows"].values())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
