"""The table that attend prints: for people, in a terminal or not."""

import re
from pathlib import Path

import numpy as np
import pytest

from attention_heat_map.labels import columns
from attention_heat_map.viridis import VIRIDIS
from tests.sampling import sample
from tests.service.command_line.command import HONOR, in_terminal, run, text

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_the_table_has_weights_labels_and_output() -> None:
    lines = text("attend", "-", body=HONOR).splitlines()
    assert lines[0] == "scaled_dot_product · softmax"
    assert "scale 0.5 · temperature 1" in lines[1]
    start = next(index for index, line in enumerate(lines) if line.startswith("weights 权重"))
    assert re.split(r"\s{2,}", lines[start + 1].strip()) == ["射手", "jungler 打野", "中路", "上路"]
    assert lines[start + 2].split() == ["团战", "0.7017", "0.1489", "0.0998", "0.0496"]
    assert lines[start + 3].split() == ["drake", "0.1394", "0.6567", "0.1007", "0.1033"]
    assert len({columns(line) for line in lines[start + 1 : start + 4]}) == 1, "Chinese labels take two columns"
    start = lines.index("output 输出")
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["团战", "0.7365", "0.3242", "0.1991"],
        ["drake", "0.2252", "0.7251", "0.4460"],
    ]
    assert columns(lines[start + 1]) == columns(lines[start + 2])


def test_what_is_not_asked_for_is_shown_all_the_same() -> None:
    shown = text("attend", "-", body={**HONOR, "include": []})
    assert "0.7017" in shown
    assert "output" not in shown


@pytest.mark.parametrize(
    ("include", "named"),
    [
        (["logsumexp"], "logsumexp"),
        (["weights", "ranking", "output", "scores"], "ranking, scores"),
        (["weights", "output"], None),
        ([], None),
        (None, None),
    ],
    ids=str,
)
def test_what_is_asked_for_and_has_no_table_is_named(include: list[str] | None, named: str | None) -> None:
    shown = text("attend", "-", body={**HONOR, "include": include})
    lines = [line for line in shown.splitlines() if "--json" in line]
    assert lines == (
        [] if named is None else [f"{named}: not in this table, use --json · 表中没有 {named}，请用 --json"]
    )


def test_weights_of_each_head_are_named_where_the_table_is_of_their_mean() -> None:
    heads = [[[[1, 0]], [[0, 1]]]]
    shown = text("attend", "-", body={"query": heads, "key": heads, "include": ["weights", "mean_weights"]})
    assert "weights: not in this table, use --json" in shown


ODD = {
    "query": [[1, 2], [3, 4], [1, 1]],
    "key": [[1, 2], [5, -6], [0, 0]],
    "score_model": "dot_product",
    "normalizer": "none",
    "mask": {"allowed": [[True, True, True], [False, False, False], [True, False, True]]},
}


def test_masked_cells_empty_rows_and_what_is_beyond_the_scale_are_marked() -> None:
    lines = text("attend", "-", body=ODD).splitlines()
    rows = [line.split() for line in lines if re.match(r"\d ", line)]
    hatch = "░" * 8
    assert rows == [["0", "5.0000▲", "-7.0000▼", "0"], ["1", hatch, hatch, hatch, "∅"], ["2", "3.0000▲", hatch, "0"]]
    for meaning in ("░░ masked · 已遮住", "∅ no visible key", "▲ above 1", "▼ below 0"):
        assert meaning in "\n".join(lines)
    assert lines[-1] == "row 1: no visible key; weights and output are zero"
    plain = text("attend", "-", body=HONOR)
    assert not set("░∅▲▼") & set(plain)


def test_nan_and_extreme_weights_are_written() -> None:
    body = {
        "query": [[1e200], [1.0], [-1e-150]],
        "key": [[1e200], [-1e200], [1e-100]],
        "score_model": "dot_product",
        "normalizer": "none",
    }
    rows = [line.split() for line in text("attend", "-", body=body).splitlines() if re.match(r"\d ", line)]
    assert rows[0] == ["0", "∞▲", "░░░░░░░░", "1e100▲"]
    assert rows[1] == ["1", "1e200▲", "-1e200▼", "0.0000"]
    assert rows[2] == ["2", "-1e50▼", "1e50▲", "-1e-250▼"]
    saturated = text("attend", "-", body={**body, "normalizer": "softmax"}).splitlines()
    assert next(line.split()[:2] for line in saturated if re.match(r"\d ", line)) == ["0", "NaN"]


def test_each_leading_index_has_a_table_up_to_sixteen() -> None:
    query = np.zeros((2, 3, 2, 1)).tolist()
    shown = text("attend", "-", body={"query": query, "key": query, "value": query})
    for title in ("weights 权重", "output 输出"):
        assert re.findall(rf"^{title} (\[\d, \d\])", shown, re.MULTILINE) == [
            f"[{i}, {j}]" for i in range(2) for j in range(3)
        ]
    many = np.zeros((40, 2, 1)).tolist()
    shown = text("attend", "-", body={"query": many, "key": many})
    assert shown.count("weights 权重") == 16
    assert "… 24 more · 还有 24 幅" in shown


def test_colour_is_viridis_under_readable_numbers() -> None:
    coloured = text("attend", "-", "--color", "always", body=HONOR)
    cells = re.findall(r"\x1b\[48;2;(\d+);(\d+);(\d+)m\x1b\[38;2;([\d;]+)m *([\d.]+) \x1b\[0m", coloured)
    assert [cell[4] for cell in cells] == [
        "0.7017",
        "0.1489",
        "0.0998",
        "0.0496",
        "0.1394",
        "0.6567",
        "0.1007",
        "0.1033",
    ]
    for *background, foreground, weight in cells:
        assert "#{:02x}{:02x}{:02x}".format(*map(int, background)) == VIRIDIS[int(float(weight) * 256)]
        assert foreground == ("0;0;0" if float(weight) > 0.5 else "255;255;255")
    assert ESCAPE.sub("", coloured) == text("attend", "-", body=HONOR)


@pytest.mark.soak
def test_there_is_colour_in_a_terminal_unless_it_is_not_wanted(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    assert ESCAPE.search(in_terminal(["attend"], HONOR, 100, path))
    assert not ESCAPE.search(in_terminal(["attend"], HONOR, 100, path, NO_COLOR="1"))
    assert not ESCAPE.search(in_terminal(["attend"], HONOR, 100, path, TERM="dumb"))
    assert not ESCAPE.search(in_terminal(["attend", "--color", "never"], HONOR, 100, path))
    assert ESCAPE.search(in_terminal(["attend", "--color", "always"], HONOR, 100, path, NO_COLOR="1"))
    assert not ESCAPE.search(text("attend", "-", body=HONOR))


@pytest.mark.parametrize("width", sample([20, 60, 80, 200], 60))
def test_wide_matrices_are_cut_to_the_terminal(tmp_path: Path, width: int) -> None:
    random = np.random.default_rng(6)
    key = random.normal(size=(128, 2)).tolist()
    body = {
        "query": key[:3],
        "key": key,
        "value": random.normal(size=(128, 50)).tolist(),
        "labels": {"query": ["团战"] * 3},
    }
    lines = in_terminal(["attend", "--color", "never"], body, width, tmp_path / "request.json").splitlines()
    rows = [line for line in lines if re.match(r"团战", line)]
    assert max(columns(row) for row in rows) <= width
    said = next(line for line in lines if "more keys" in line)
    left = int(re.match(r"… (\d+) more keys · 还有 \1 个键", said)[1])
    assert [len(row.split()) - 1 for row in rows[:3]] == [128 - left] * 3
    assert 128 - left >= (width - 8) // 8
    assert any("more numbers in each row" in line for line in lines)
    assert "more" not in text("attend", "-", body=body), "a pipe has no width"


def test_labels_command_no_terminal() -> None:
    label = "\x1b[2J\x1b]0;title\x07\r\n\u202eevil\x9b31m"
    labels = {"query": [label, label], "key": [label] * 4}
    printed = run("attend", "-", body={**HONOR, "labels": labels}).stdout.decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", printed)
    refused = run("attend", "-", body={**HONOR, label: 1}).stderr.decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", refused)
