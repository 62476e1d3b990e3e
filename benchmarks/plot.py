"""Draw the pictures in `results`, each from its figures if they are there.

python -m benchmarks.plot
"""

import sys
from collections.abc import Callable

from benchmarks.backend_process import OUR_NUMPY, OURS, PRODUCTS, PYTORCH
from benchmarks.diagram import Panel, Picture, Series
from benchmarks.figures import FOLDER, Row, load
from benchmarks.rows import ALL, LENGTHS, THROUGHPUT_LENGTHS, full

ORANGE, BLUE, GREY, GREEN = (
    ("#b35900", "#f0883e"),
    ("#0969da", "#58a6ff"),
    ("#57606a", "#9198a1"),
    ("#1a7f37", "#3fb950"),
)

TIME = "time, ms 时间（毫秒）"
LENGTH = "queries = keys 查询数 = 键数"
OUTPUT_ONLY = "output only"


def short_length(length: int) -> str:
    """Return 512, 1k, 32k."""
    return f"{length // 1024}k" if length >= 1024 else str(length)


def short_size(size: int) -> str:
    """Return 3 KiB, 1 MiB."""
    return f"{size / 2**20:.3g} MiB" if size >= 2**20 else f"{size / 2**10:.3g} KiB"


def throughput(rows: dict[str, Row]) -> list[Row]:
    """Return GFLOP/s of eight heads against length."""
    points = []
    for length in THROUGHPUT_LENGTHS:
        row = full((1, 8, length, 64))
        for series, seconds in times(rows.get(row.name), (OURS, OUR_NUMPY, PYTORCH, PRODUCTS)).items():
            points.append({"series": series, "length": length, "gflops": row.work.operations / seconds / 1e9})
    return points


def against_length(rows: dict[str, Row]) -> list[Row]:
    """Return time, and memory with results, of one head against length."""
    points = []
    for length in LENGTHS:
        kept = rows.get(full((1, 1, length, 64)).name)
        for series, seconds in times(kept, (ALL, OURS, PYTORCH)).items():
            grown = kept["bytes"][series][0] if kept else 0
            name = OUTPUT_ONLY if series == OURS else series
            points.append({"series": name, "length": length, "seconds": seconds, "bytes": grown})
    return points


def times(kept: Row | None, names: tuple[str, ...]) -> dict[str, float]:
    """Return our time and those of some peers, as far as they were measured."""
    if kept is None:
        return {}
    seconds = {OURS: kept["seconds"], **{name: peer.get("seconds") for name, peer in kept["beside"].items()}}
    return {name: seconds[name] for name in names if seconds.get(name)}


def as_kept(rows: dict[str, Row]) -> list[Row]:
    """Return the rows of a benchmark that keeps points."""
    return list(rows.values())


THROUGHPUT = Picture(
    title="Throughput against length 吞吐量随长度的变化",
    series=(
        Series(OURS, "ours 本项目", 80, *BLUE),
        Series(OUR_NUMPY, "ours, NumPy alone 仅 NumPy", 220, *ORANGE),
        Series(PYTORCH, "PyTorch", 475, *GREEN),
        Series(PRODUCTS, "matrix products alone 仅矩阵乘法", 590, *GREY, dashed=True),
    ),
    panels=(Panel("GFLOP/s, 8 heads × 64 features 8 头 × 64 特征", "gflops", 1, 80, 700, linear=True),),
    across="length",
    across_words=LENGTH,
    short=short_length,
)

LONG_SEQUENCES = Picture(
    title="Time and memory against length 时间和内存随长度的变化",
    series=(
        Series(ALL, "scores, weights and output 分数、权重和输出", 80, *ORANGE),
        Series(OUTPUT_ONLY, "output only 仅输出", 440, *BLUE),
        Series(PYTORCH, "PyTorch", 620, *GREY, dashed=True),
    ),
    panels=(
        Panel(TIME, "seconds", 1e-3, 80),
        Panel("memory beside inputs, MiB 输入之外的内存（MiB）", "bytes", 2**20, 500),
    ),
    across="length",
    across_words=LENGTH,
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

PICTURES: dict[str, tuple[str, Callable[[dict[str, Row]], list[Row]], Picture]] = {
    "throughput.svg": ("core", throughput, THROUGHPUT),
    "long-sequences.svg": ("core", against_length, LONG_SEQUENCES),
    "payloads.svg": ("payloads", as_kept, PAYLOADS),
    "overload.svg": ("overload", as_kept, OVERLOAD),
}
"""Files, each with the benchmark whose figures it shows, how points are made of them, and how they are drawn."""


def drawn(file: str) -> str | None:
    """Return a picture of the figures kept last; None where there are not two places across to draw a line between."""
    benchmark, points_of, picture = PICTURES[file]
    for processor, document in reversed(load(benchmark).items()):
        points = points_of(document["rows"])
        if len({point[picture.across] for point in points}) > 1:
            return picture.draw(points, processor)
    return None


def main() -> int:
    """Write the pictures."""
    for file in PICTURES:
        if (picture := drawn(file)) is not None:
            (FOLDER / file).write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
