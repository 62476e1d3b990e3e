"""Results, verdicts and errors as a person reads them in a terminal, in Chinese and English."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_heat_map.labels import columns, printable, shorten, writings
from attention_heat_map.viridis import VIRIDIS, colour_indices, foreground, red_green_blue
from service.codecs.json import NON_FINITE
from service.codecs.shown import Shown

MAX_PANELS = 16
MAX_LABEL_COLUMNS = 22
WEIGHT_COLUMNS, MAX_NUMBER_COLUMNS = 6, 8
"""Columns of a weight between 0 and 1, and most columns of any other weight with its mark."""

MAX_CELL_COLUMNS = 14
HATCH = "░"
ABOVE, BELOW = "▲", "▼"
EMPTY_ROW = "∅"
AXES = "query 查询 ↓ · key 键 →"


@dataclass(frozen=True, slots=True)
class Screen:
    """Capabilities of a terminal: whether it has colours, and its width in columns; None is unlimited."""

    colour: bool
    width: int | None

    def bold(self, text: str) -> str:
        """Return bold text."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def painted(self, text: str, background: str) -> str:
        """Return black or white text on a background colour."""
        if not self.colour:
            return text
        below, above = (";".join(map(str, red_green_blue(each))) for each in (background, foreground(background)))
        return f"\x1b[48;2;{below}m\x1b[38;2;{above}m{text}\x1b[0m"

    def room(self, taken: int, each: int, count: int) -> int:
        """Return how many of `count` cells of `each` columns fit beside `taken` columns, at least one."""
        return count if self.width is None else max(min((self.width - taken) // each, count), 1)


def result_text(shown: Shown, screen: Screen, not_shown: Sequence[str] = ()) -> str:
    """Return the weights as a table for each leading index, the meanings of the marks, the output, and the notes.

    :param shown: weights, output and notes.
    :param screen: the terminal.
    :param not_shown: fields that the request asks for and that have no table; the last line says where they are.
    """
    heading = [screen.bold(shown.title), shown.subtitle]
    lines = [*heading, *_weights(shown, screen), *_output(shown, screen), *_notes(shown, screen)]
    if not_shown:
        names = ", ".join(not_shown)
        lines += ["", f"{names}: not in this table, use --json · 表中没有 {names}，请用 --json"]
    return "\n".join([*lines, ""])


def _weights(shown: Shown, screen: Screen) -> Iterator[str]:
    queries = _labels(shown.query_labels, shown.weights.shape[-2])
    keys = _labels(shown.key_labels, shown.weights.shape[-1])
    for index in _leading(shown.weights):
        yield from ("", screen.bold(f"weights 权重{_named(index)}") + f"   {AXES}")
        yield from _matrix(shown.weights[index], shown.visible[index], queries, keys, screen)
    yield from _left_out(shown.weights)
    yield from _meanings(shown)


def _matrix(
    weights: NDArray[np.floating], visible: NDArray[np.bool_], queries: list[str], keys: list[str], screen: Screen
) -> Iterator[str]:
    """Yield the lines of one table."""
    gutter = max(map(columns, queries), default=0)
    narrowest = MAX_NUMBER_COLUMNS if (visible & ((weights < 0) | (weights > 1))).any() else WEIGHT_COLUMNS
    cell = max(narrowest, min(max(map(columns, keys), default=0), MAX_CELL_COLUMNS))
    fitting = screen.room(gutter + 1 + len(f" {EMPTY_ROW}"), cell + 2, len(keys))
    colours = colour_indices(weights)
    yield " " * (gutter + 1) + "".join(f" {_right(shorten(key, cell), cell)} " for key in keys[:fitting])
    for row, label in enumerate(queries):
        line = [
            screen.painted(f" {_right(_number(float(weights[row, key]), cell), cell)} ", VIRIDIS[colours[row, key]])
            if visible[row, key]
            else f" {HATCH * cell} "
            for key in range(fitting)
        ]
        yield f"{_padded(label, gutter)} {''.join(line)}{'' if visible[row].any() else f' {EMPTY_ROW}'}"
    if fitting < len(keys):
        yield f"… {len(keys) - fitting} more keys · 还有 {len(keys) - fitting} 个键"


def _meanings(shown: Shown) -> Iterator[str]:
    """Yield the meanings of the marks that occur."""
    weights, visible = shown.weights, shown.visible
    occurring = {
        f"{HATCH * 2} masked · 已遮住": not visible.all(),
        f"{EMPTY_ROW} no visible key in this row · 该行无可见的键": not visible.any(axis=-1).all(),
        f"{ABOVE} above 1 · 大于 1": bool((visible & (weights > 1)).any()),
        f"{BELOW} below 0 · 小于 0": bool((visible & (weights < 0)).any()),
    }
    said = [meaning for meaning, occurs in occurring.items() if occurs]
    yield from ["", "   ".join(said)] if said else []


def _output(shown: Shown, screen: Screen) -> Iterator[str]:
    if shown.output is None:
        return
    labels = _labels(shown.query_labels, shown.output.shape[-2])
    for index in _leading(shown.output):
        yield from ("", screen.bold(f"output 输出{_named(index)}"), *_rows(shown.output[index], labels, screen))
    yield from _left_out(shown.output)


def _notes(shown: Shown, screen: Screen) -> Iterator[str]:
    yield from ("", screen.bold("notes 说明"), *shown.notes) if shown.notes else ()


def _rows(numbers: NDArray[np.floating], labels: list[str], screen: Screen) -> Iterator[str]:
    """Yield the lines of a table of plain numbers."""
    written = [[next(writings(number)) for number in row] for row in numbers.tolist()]
    gutter = max(map(columns, labels), default=0)
    cell = max((len(number) for row in written for number in row), default=0)
    fitting = screen.room(gutter, cell + 2, numbers.shape[-1])
    for label, row in zip(labels, written, strict=True):
        yield _padded(label, gutter) + "".join(f"  {_right(number, cell)}" for number in row[:fitting])
    if fitting < numbers.shape[-1]:
        left = numbers.shape[-1] - fitting
        yield f"… {left} more numbers in each row · 每行还有 {left} 个数"


def _number(weight: float, max_columns: int) -> str:
    """Return a weight with its mark, in at most `max_columns` columns."""
    mark = ABOVE if weight > 1 else BELOW if weight < 0 else ""
    return next(written + mark for written in writings(weight) if len(written) + len(mark) <= max_columns)


def _leading(array: NDArray[np.floating]) -> list[tuple[int, ...]]:
    return list(islice(np.ndindex(*array.shape[:-2]), MAX_PANELS))


def _left_out(array: NDArray[np.floating]) -> Iterator[str]:
    left = prod(array.shape[:-2]) - MAX_PANELS
    if left > 0:
        yield f"… {left} more · 还有 {left} 幅"


def _named(index: tuple[int, ...]) -> str:
    return f" {list(index)}" if index else ""


def _labels(labels: Sequence[str] | None, count: int) -> list[str]:
    given = map(str, range(count)) if labels is None else map(printable, labels)
    return [shorten(label, MAX_LABEL_COLUMNS) for label in given]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _right(text: str, width: int) -> str:
    return " " * (width - columns(text)) + text


FIGURES = {
    "max_abs_error": "abs 绝对",
    "max_rel_error": "rel 相对",
    "correlation": "corr 相关",
    "max_ulps": "ulps",
    "worst_index": "worst 最差处",
    "expected": "expected 期望",
    "received": "received 收到",
}
"""The figures of a field in a verdict, and their headings."""


def verdict_text(verdict: Mapping[str, Any], screen: Screen) -> str:
    """Return what `check` found: the verdict, one line for each field, and the likely cause."""
    said = "passed 通过" if verdict["passed"] else "FAILED 未通过"
    heading = screen.bold(f"{said}   rtol {verdict['rtol']:g}, atol {verdict['atol']:g}")
    rows = [["", "", *FIGURES.values()]]
    for name, field in verdict["fields"].items():
        mark = "✓ yes 是" if field["passed"] else "✗ NO 否"
        rows.append([name, mark, *(_figure(field.get(figure)) for figure in FIGURES)])
    cause = verdict["likely_cause"]
    told = [screen.bold(f"likely cause 可能的原因: {cause}")] if cause else []
    return "\n".join([heading, "", *_aligned(rows), "", *told, verdict["advice"]["en"], verdict["advice"]["zh"], ""])


GRADIENT_HEADINGS = ("shape 形状", "norm 范数", "largest 最大", "at 位置")
"""Headings of a table of gradients; the largest number is that of the largest magnitude."""


def gradients_text(answer: Mapping[str, Any], screen: Screen) -> str:
    """Return the output, and for each gradient a line with its shape, its norm and its largest number."""
    rows = [["", *GRADIENT_HEADINGS]]
    rows += [[name, *_summary(array)] for name, array in _gradients(answer["gradients"])]
    lines = [screen.bold("gradients 梯度"), *_aligned(rows)]
    if "output" in answer:
        output = _array(answer["output"])
        labels = _labels(None, output.shape[-2])
        for index in _leading(output):
            lines += ["", screen.bold(f"output 输出{_named(index)}"), *_rows(output[index], labels, screen)]
        lines += _left_out(output)
    if answer["notes"]:
        lines += ["", screen.bold("notes 说明"), *answer["notes"]]
    return "\n".join([*lines, ""])


def _gradients(gradients: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield each gradient with its dotted name."""
    for name, member in gradients.items():
        if isinstance(member, Mapping):
            yield from ((f"{name}.{parameter}", _array(nested)) for parameter, nested in member.items())
        else:
            yield name, _array(member)


def _summary(array: NDArray[np.float64]) -> list[str]:
    """Return shape, norm and largest number of an array as text."""
    if not array.size:
        return [str(list(array.shape)), "–", "–", "–"]
    place = tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(array)), array.shape))
    numbers = (float(np.sqrt(np.square(array).sum())), float(array[place]))
    return [str(list(array.shape)), *map(_figure, numbers), str(list(place))]


def _array(nested: Any) -> NDArray[np.float64]:
    """Return nested lists of an answer, or a number, as an array."""
    leaves = np.array(nested, dtype=object)
    numbers = [NON_FINITE[leaf] if leaf is None or isinstance(leaf, str) else leaf for leaf in leaves.ravel()]
    return np.array(numbers, np.float64).reshape(leaves.shape)


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value + 0.0:.6g}"
    return "–" if value is None else printable(str(value))


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


MEMORY_COLUMNS = {
    "name": "name 名称",
    "keys": "keys 键数",
    "shape.key": "key 键",
    "shape.value": "value 值",
    "dtype": "dtype 类型",
    "bytes": "bytes 字节",
    "expires": "expires 过期",
    "note": "note 备注",
}
"""Members of a description that a list of memories shows, and their headings."""

MEMORY_LINES = {
    **MEMORY_COLUMNS,
    "version": "version 版本",
    "layout": "layout 轴序",
    "labels": "labels 标签",
    "created": "created 创建",
    "modified": "modified 修改",
    "ttl_seconds": "ttl_seconds 有效秒数",
    "durability": "durability 持久性",
    "shards": "shards 分片",
}
"""Members of a description, and their headings."""


def memories_text(memories: Sequence[Mapping[str, Any]], screen: Screen) -> str:
    """Return a table of memories, a line each; none has a line too."""
    if not memories:
        return "no memories · 没有记忆\n"
    rows = [[*MEMORY_COLUMNS.values()], *([_memory_cell(one, name) for name in MEMORY_COLUMNS] for one in memories)]
    heading, *lines = _aligned(rows)
    return "\n".join([screen.bold(heading), *lines, ""])


def memory_text(memory: Mapping[str, Any], screen: Screen) -> str:
    """Return the description of a memory, a line for each member."""
    rows = [[heading, _memory_cell(memory, name)] for name, heading in MEMORY_LINES.items()]
    return "\n".join([screen.bold(f"memory 记忆 {printable(str(memory['name']))}"), *_aligned(rows[1:]), ""])


def _memory_cell(memory: Mapping[str, Any], name: str) -> str:
    """Return a member of a description as text."""
    value: Any = memory
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return "✓ yes 是" if value else "✗ no 否"
    return "–" if value is None else printable(str(value))


def problem_text(problem: Mapping[str, Any], title: str) -> str:
    """Return an error: each thing that is wrong with its place, then the kind of problem."""
    wrong = problem.get("errors") or [{"pointer": "", "detail": problem["detail"]}]
    lines = [f"error: {each['pointer'] + ': ' if each['pointer'] else ''}{each['detail']}" for each in wrong]
    return "\n".join(map(printable, [*lines, _kind(problem, title)]))


def _kind(problem: Mapping[str, Any], title: str) -> str:
    """Return the kind of a problem; one that no service has answered has no status."""
    return f"{title} ({problem['status']}, {problem['type']})" if "status" in problem else title
