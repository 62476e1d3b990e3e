"""The table of limits: each row reads its number from the code that enforces it."""

from dataclasses import dataclass

from attention_core.descriptions import Text
from attention_core.formulas import language as formulas
from attention_core.notes import MAX_NOTES
from attention_core.resolve import MAX_OFFSET
from attention_heat_map.heat_map import MAX_PANELS
from development.tables import DEFAULT, Language, default_cell, setting_cell, table
from service.admission.admitted_request import MAX_INLINE_BODY_BYTES, MAX_INLINE_OPERATIONS
from service.admission.memory_budget import MAX_BODY_WAIT_SECONDS
from service.codecs.json.decode import MAX_PLAIN_VALUES
from service.codecs.svg.drawing import MAX_CELLS, MAX_SIDE
from service.middleware.forwarded import MAX_PREFIX_LENGTH
from service.schemas.compare import MAX_VARIANTS
from service.schemas.memories import MAX_NOTE_CHARACTERS, MAX_SHARDS
from service.schemas.parse import MAX_VIOLATIONS
from service.schemas.tensors import MAX_AXES, MAX_INTEGER
from service.serving.closing import MAX_DISCARD_SECONDS, MAX_DISCARDED_BODIES, MAX_FRAMING_BYTES, MIN_DISCARDED_BYTES
from service.serving.heads import MAX_HEAD_BYTES, MAX_HEADERS
from service.settings import MIB, Settings, described

KIB = 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that no setting changes, and the answer to a request beyond it."""

    what: Text
    number: str
    beyond: Text


def _as_power(number: int) -> str:
    """Return a power of two as one, with an exponent in superscript; any other number as it is."""
    exponent = number.bit_length() - 1
    superscript = str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"2{superscript}" if number == 1 << exponent else f"{number:,}"


WITHOUT_MORE = MIN_DISCARDED_BYTES // MAX_DISCARDED_BODIES
"""Largest maximum of a body, in bytes, up to which `MIN_DISCARDED_BYTES` and framing are discarded."""

REFUSED = {status: Text(status, status) for status in ("400", "413", "422", "429", "431")}
LEFT_OUT = Text("不再列出", "left out")

FIXED = (
    Limit(Text("请求头的大小", "bytes of the head of a request"), f"{MAX_HEAD_BYTES // KIB} KiB", REFUSED["431"]),
    Limit(Text("请求头的字段数", "header fields of a request"), str(MAX_HEADERS), REFUSED["431"]),
    Limit(
        Text("代理给出的路径前缀的字符数", "characters of a path prefix that a proxy says"),
        str(MAX_PREFIX_LENGTH),
        REFUSED["400"],
    ),
    Limit(
        Text("JSON 中数组以外的值的个数", "JSON values outside arrays of numbers"),
        f"{MAX_PLAIN_VALUES:,}",
        REFUSED["413"],
    ),
    Limit(Text("一个张量的轴数", "axes of a tensor"), str(MAX_AXES), REFUSED["422"]),
    Limit(Text("一个整数的绝对值", "absolute value of an integer"), _as_power(MAX_INTEGER), REFUSED["422"]),
    Limit(Text("`offset` 的绝对值", "absolute value of `offset`"), _as_power(MAX_OFFSET), REFUSED["422"]),
    Limit(
        Text("`/v1/attention/compare` 的变体数", "variants of `/v1/attention/compare`"),
        str(MAX_VARIANTS),
        REFUSED["422"],
    ),
    Limit(Text("公式的字符数", "characters of a formula"), str(formulas.MAX_CHARACTERS), REFUSED["422"]),
    Limit(
        Text("公式的节点数：名称、数、运算", "nodes of a formula: names, numbers and operations"),
        str(formulas.MAX_NODES),
        REFUSED["422"],
    ),
    Limit(Text("公式的嵌套深度", "depth of a formula"), str(formulas.MAX_DEPTH), REFUSED["422"]),
    Limit(Text("公式的参数个数", "parameters of a formula"), str(formulas.MAX_PARAMETERS), REFUSED["422"]),
    Limit(Text("图像中的查询数或键数", "queries, and keys, of a picture"), str(MAX_SIDE), REFUSED["413"]),
    Limit(Text("图像的格子数", "cells of a picture"), f"{MAX_CELLS:,}", REFUSED["413"]),
    Limit(Text("图像的幅数", "panels of a picture"), str(MAX_PANELS), LEFT_OUT),
    Limit(Text("一个错误响应列出的问题数", "violations that one error lists"), str(MAX_VIOLATIONS), LEFT_OUT),
    Limit(Text("一个响应的 `notes` 条数", "`notes` of an answer"), str(MAX_NOTES), LEFT_OUT),
    Limit(Text("记忆的备注的字符数", "characters of the note of a memory"), f"{MAX_NOTE_CHARACTERS:,}", REFUSED["422"]),
    Limit(Text("记忆的分片数", "shards of a memory"), str(MAX_SHARDS), REFUSED["422"]),
    Limit(
        Text("在事件循环上计算的请求体", "body of a request that is computed on the event loop"),
        f"{MAX_INLINE_BODY_BYTES // KIB} KiB",
        Text("在计算线程上计算", "computed on a thread"),
    ),
    Limit(
        Text("在事件循环上计算的运算量", "operations of a request that is computed on the event loop"),
        f"{MAX_INLINE_OPERATIONS:,}",
        Text("在计算线程上计算", "computed on a thread"),
    ),
    Limit(
        Text("请求体等待内存的时间", "time that a body waits for room in memory"),
        f"{MAX_BODY_WAIT_SECONDS:g} s",
        REFUSED["429"],
    ),
    Limit(
        Text(
            f"被拒绝的请求体还会读掉的部分；`ATTENTION_MAX_BODY_BYTES` 超过 {WITHOUT_MORE // MIB} MiB 时更多",
            f"part of a refused body that is still read; more where `ATTENTION_MAX_BODY_BYTES` is over "
            f"{WITHOUT_MORE // MIB} MiB",
        ),
        f"{(MIN_DISCARDED_BYTES + MAX_FRAMING_BYTES) // MIB} MiB, {MAX_DISCARD_SECONDS:g} s",
        Text("连接关闭", "the connection is closed"),
    ),
)

SET = tuple(
    name
    for name in Settings.model_fields
    if name.startswith("max_")
    or name.endswith(("_bytes", "_in_flight"))
    or name in ("queue_size", "deadline_seconds", "body_timeout_seconds")
)
"""Settings that limit what a request may be, take or keep."""


def limits_by_setting(language: Language) -> list[str]:
    """Return the lines of the table of limits that a setting changes."""
    titles = (Text("设置", "Setting"), DEFAULT, Text("限制的是", "Limits"))
    rows = (
        (setting_cell(name, language), default_cell(name, language), getattr(described(name), language)) for name in SET
    )
    return table(language, titles, rows)


def fixed_limits(language: Language) -> list[str]:
    """Return the lines of the table of limits that are the same everywhere."""
    rows = ((getattr(one.what, language), one.number, getattr(one.beyond, language)) for one in FIXED)
    return table(language, (Text("限制的是", "Limit of"), Text("上限", "At most"), Text("超出时", "Beyond")), rows)
