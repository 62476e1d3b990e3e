"""Tables of the pages that say how fast the service is: rows of `benchmarks/RESULTS.md`."""

import re
from dataclasses import dataclass
from pathlib import Path

from attention_core.descriptions import Text
from development.tables import Language, table

RESULTS = Path(__file__).parent.parent / "benchmarks" / "RESULTS.md"

TITLES = (
    Text("计算", "Work"),
    Text("attention-service", "attention-service"),
    Text("对照", "Beside"),
    Text("对照的结果", "Its result"),
    Text("处理器（2 核）", "Processor (2 cores)"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of RESULTS.md to show.

    :param block: name of the generated part of RESULTS.md.
    :param work: its first cell.
    :param peer: the cell that names what it was measured beside.
    :param shown: the work in words.
    :param shown_peer: the peer in words, where they differ between languages.
    """

    block: str
    work: str
    peer: str
    shown: Text
    shown_peer: Text | None = None


ROWS = (
    Row(
        "core",
        "causal 1,8,4096,64",
        "PyTorch",
        Text("因果注意力，8 头，4096 个词元，64 个特征", "Causal attention, 8 heads, 4096 tokens, 64 features"),
    ),
    Row(
        "core",
        "forward + backward 1,8,4096,64",
        "PyTorch",
        Text("前向与反向，同样大小", "Forward and backward, full, same size"),
    ),
    Row(
        "core",
        "decode 1,8,1,64 over 1,8,131072,64",
        "PyTorch",
        Text("解码一步，131 072 个键", "One decoding step over 131 072 keys"),
    ),
    Row(
        "core",
        "small 32,32",
        "NumPy, five lines",
        Text("很小的一次调用，32 × 32，不经过 HTTP", "A small call, 32 × 32, without HTTP"),
        Text("五行 NumPy，不做检查", "Five lines of NumPy, no checks"),
    ),
    Row(
        "over_http",
        "4 keys × 8, JSON, all three results",
        "MLServer",
        Text("HTTP：4 个键，JSON", "Over HTTP: 4 keys, JSON"),
    ),
    Row(
        "over_http",
        "4 keys × 8, JSON, all three results",
        "bare FastAPI",
        Text("同样的请求", "The same request"),
        Text("最简单的 FastAPI 路由", "A bare FastAPI route"),
    ),
    Row(
        "over_http",
        "256 × 64, binary V2",
        "KServe",
        Text("HTTP：256 个键，原始字节", "Over HTTP: 256 keys, raw bytes"),
    ),
)


COST_TITLES = (Text("步骤", "Step"), Text("用时", "Time"))

COSTS = {
    "a call, whatever it computes": Text("一个调用，不论计算什么", "A call, whatever it computes"),
    "each of its parts": Text("它的每个部分", "Each of its parts"),
    "a MiB that is put into the object store": Text("把 1 MiB 存入对象存储", "A MiB that is put into the object store"),
    "a MiB that another node fetches": Text("另一个节点取 1 MiB", "A MiB that another node fetches"),
    "a MiB of a result of another node, copied to its place": Text(
        "取回另一个节点的 1 MiB 结果，并复制到它的位置", "A MiB of a result of another node, copied to its place"
    ),
    "10⁹ predicted operations, in one thread": Text(
        "一个线程里预计的 10⁹ 次运算", "10⁹ predicted operations, in one thread"
    ),
}
"""Steps of a call on a Ray cluster, by their cells of RESULTS.md."""


def cluster_costs(language: Language) -> list[str]:
    """Return the lines of the table of what a call on a Ray cluster costs; raise KeyError for a step without words."""
    block = _block(RESULTS.read_text(encoding="utf-8"), "cluster, costs")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines() if line.startswith("|")]
    return table(language, COST_TITLES, ([getattr(COSTS[step], language), time] for step, time in rows[2:]))


def speed(language: Language) -> list[str]:
    """Return the lines of the table; raise ValueError where RESULTS.md lacks a row of it."""
    text = RESULTS.read_text(encoding="utf-8")
    rows = ((getattr(row.shown, language), *_cells(text, row, language)) for row in ROWS)
    return table(language, TITLES, rows)


def _cells(text: str, row: Row, language: Language) -> list[str]:
    """Return our result, the peer, its result and the processor, of the processor that stands last in RESULTS.md."""
    found: list[str] = []
    processor = ""
    for line in _block(text, row.block).splitlines():
        if named := re.fullmatch(r"\*(.+)\*", line):
            processor = named[1]
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:1] == [row.work] and row.peer in cells[1:3]:
            [first, second, third] = cells[1:4]
            ours, theirs = (second, third) if row.peer == first else (first, third)
            found = [ours, getattr(row.shown_peer, language) if row.shown_peer else row.peer, theirs, processor]
    if not found:
        raise ValueError(f"{RESULTS.name}: expected a row {row.work!r} beside {row.peer!r} below <!-- {row.block} -->")
    return found


def _block(text: str, name: str) -> str:
    """Return what stands between the markers of a generated part of RESULTS.md."""
    _, _, rest = text.partition(f"<!-- {name} -->\n")
    return rest.partition("<!-- end -->")[0]
