"""The picture taken apart: every cell, label, mark and number, read back from the XML."""

import random
import re
import unicodedata
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from attention_heat_map.viridis import VIRIDIS
from service.codecs.shown import Shown
from service.codecs.svg import drawing
from service.codecs.svg.drawing import require_drawable
from service.errors import TooLarge

SVG = "{http://www.w3.org/2000/svg}"
ANCHORS = {0: "#440154", 64: "#3b528b", 128: "#21918c", 192: "#5ec962", 255: "#fde725"}
"""What Matplotlib's viridis is at these indices."""

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "]]>",
    "&amp; & &lt;",
    "\"double\" and 'single'",
    "👩‍👩‍👧 emoji 🐉",
    "射手在很远很远的地方等待支援很久很久",
    "</text></svg>",
    "<!-- comment -->",
]
FORBIDDEN = ["nul\0", "escape\x1b[31m", "bell\x07", "c1\x9b", "reversed\u202eevil", "nonchar\uffff\ufffe", "\x7f"]


def picture(weights, visible, **texts) -> bytes:
    """The picture of weights without an output."""
    return drawing.draw(Shown(weights, visible, None, **texts))


def draw(weights, visible=None, *, query=None, key=None, title="softmax", subtitle="", notes=()) -> ET.Element:
    weights = np.asarray(weights)
    visible = np.ones(weights.shape, dtype=bool) if visible is None else np.asarray(visible)
    return ET.fromstring(
        picture(weights, visible, query_labels=query, key_labels=key, title=title, subtitle=subtitle, notes=notes)
    )


def panels(root):
    return [group for group in root.iter(f"{SVG}g") if group.get("class") == "panel"]


def filled(panel, side):
    """Each cell as (row, column): fill and kind, whether it was drawn on its own or in a stretch of its colour."""
    cells = {}
    for rectangle in panel.iter(f"{SVG}rect"):
        width, height, x, y = (float(rectangle.get(name)) for name in ("width", "height", "x", "y"))
        assert (width, height) == side
        cells[round(y / height), round(x / width)] = (rectangle.get("fill"), rectangle.get("class"))
    for path in panel.iter(f"{SVG}path"):
        if path.get("class") not in ("weight", "masked", "nan"):
            continue
        stretches = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z", path.get("d"))
        assert "".join("M{} {}h{}v{}h-{}z".format(*stretch) for stretch in stretches) == path.get("d")
        for x, y, length, height, back in (map(float, stretch) for stretch in stretches):
            assert (back, height) == (length, side[1])
            for column in range(round(x / side[0]), round((x + length) / side[0])):
                assert (round(y / height), column) not in cells, "a cell is drawn twice"
                cells[round(y / height), column] = (path.get("fill"), path.get("class"))
    return cells


def expected_fill(weight, visible):
    if not visible:
        return "url(#attention-masked)", "masked"
    if np.isnan(weight):
        return "url(#attention-nan)", "nan"
    return VIRIDIS[min(int(min(max(weight, 0.0), 1.0) * 256), 255)], "weight"


def texts(root):
    return ["".join(text.find(f"{SVG}title").itertext()) if text.find(f"{SVG}title") is not None else text.text
            for text in root.iter(f"{SVG}text")]  # fmt: skip


def shown(root):
    return [text.text for text in root.iter(f"{SVG}text")]


def test_the_colours_are_viridis():
    assert len(set(VIRIDIS)) > 250
    assert len(VIRIDIS) == 256
    assert {index: VIRIDIS[index] for index in ANCHORS} == ANCHORS


SIDES = {(2, 2): (96, 64), (1, 4): (96, 64), (5, 3): (96, 64), (30, 30): (30, 30), (64, 64): (14, 14),
         (65, 64): (14, 13), (128, 128): (7, 7), (256, 7): (16, 4), (3, 256): (4, 16)}  # fmt: skip
"""Width and height of the cells of matrices of some sizes."""


@pytest.mark.parametrize("shape", SIDES, ids=lambda shape: "{}x{}".format(*shape))
def test_every_cell_has_the_colour_of_its_weight_or_is_hatched(shape):
    generator = np.random.default_rng(1)
    weights = generator.uniform(-0.2, 1.2, shape)
    weights[generator.random(shape) < 0.1] = np.nan
    visible = generator.random(shape) < 0.7
    (panel,) = panels(draw(weights, visible))
    expected = {cell: expected_fill(weights[cell], visible[cell]) for cell in np.ndindex(shape)}
    assert filled(panel, SIDES[shape]) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_ends_of_the_scale_are_the_ends_of_the_colours(dtype):
    weights: NDArray[np.floating] = np.array([[0, 1, 0.5, np.inf, -np.inf, -3, 1.5]], dtype=dtype)
    (panel,) = panels(draw(weights))
    expected = [VIRIDIS[index] for index in (0, 255, 128, 255, 0, 0, 255)]
    assert [rectangle.get("fill") for rectangle in panel.iter(f"{SVG}rect")] == expected


def test_numbers_stand_in_their_cells():
    weights = [[0.7016690736051048, 0.14892783916957136], [1e-9, 1.0], [0.0, 0.99999]]
    (panel,) = panels(draw(weights, [[True, True], [True, True], [True, False]], query=["a", "b", "c"], key=["d", "e"]))
    assert shown(panel)[-5:] == ["0.7017", "0.1489", "0.0000", "1", "0"]
    assert shown(panel).count("1.0000") == 0, "the number of a masked cell would be a lie"


def test_there_are_no_numbers_where_there_is_no_room():
    assert "0.50" in shown(draw(np.full((32, 32), 0.5)))
    assert not [text for text in shown(panels(draw(np.full((64, 64), 0.5)))[0]) if "." in text]


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_numbers_can_be_read_on_every_colour():
    weights = (np.arange(256).reshape(16, 16) + 0.5) / 256
    (panel,) = panels(draw(weights))
    numbers = [text for text in panel.iter(f"{SVG}text") if "." in text.text]
    rectangles = list(panel.iter(f"{SVG}rect"))
    assert [rectangle.get("fill") for rectangle in rectangles] == list(VIRIDIS)
    for number, rectangle in zip(numbers, rectangles, strict=True):
        low, high = sorted(luminance(each.get("fill")) for each in (number, rectangle))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_cells_say_whose_they_are():
    root = draw(
        [[0.70167, 0.3], [0.5, np.nan]], [[True, False], [True, True]], query=["团战", "抢龙"], key=["射手", "打野"]
    )
    titles = [rectangle.find(f"{SVG}title").text for rectangle in panels(root)[0].iter(f"{SVG}rect")]
    assert titles == ["射手 ← 团战: 0.7017", "打野 ← 团战: masked · 已遮住", "射手 ← 抢龙: 0.5", "打野 ← 抢龙: NaN"]


@pytest.mark.parametrize("side", [2, 100], ids=["cells", "merged"])
@pytest.mark.parametrize(
    ("mark", "weight", "meaning"),
    [("above", 1.0000001, "above 1"), ("above", np.inf, "above 1"), ("below", -1e-9, "below 0"),
     ("nan", np.nan, "not a number"), ("masked", None, "masked"), ("empty", None, "no visible key")],
)  # fmt: skip
def test_what_is_odd_is_marked_and_explained_and_nothing_else_is(side, mark, weight, meaning):
    weights, visible = np.full((side, side), 0.5), np.ones((side, side), dtype=bool)
    plain = draw(weights)
    if weight is None:
        visible[1, 0 if mark == "masked" else slice(None)] = False
    else:
        weights[1, 0] = weight
    odd = draw(weights, visible)
    assert not [each for each in plain.iter() if each.get("class") == mark]
    assert not [text for text in shown(plain) if meaning in text]
    (marked,) = {each.get("class") for each in odd.iter() if each.get("class") == mark}
    assert marked == mark
    assert len([text for text in shown(odd) if meaning in text]) == 1
    others = {"above", "below", "nan", "masked", "empty"} - ({mark, "masked"} if mark == "empty" else {mark})
    assert not [each for each in odd.iter() if each.get("class") in others]


def test_the_ends_themselves_are_not_beyond_the_scale():
    root = draw([[0.0, 1.0], [-0.0, 0.5]])
    assert not [each for each in root.iter() if each.get("class") in ("above", "below")]


def test_hidden_cells_are_not_marked_whatever_they_hold():
    root = draw([[5.0, -5.0, np.nan, 0.5]], [[False, False, False, True]])
    assert not [each for each in root.iter() if each.get("class") in ("above", "below", "nan", "empty")]


def test_the_bar_of_an_empty_row_stands_beside_it():
    (bar,) = [
        each for each in draw(np.eye(3), [[1, 1, 1], [0, 0, 0], [1, 0, 1]]).iter() if each.get("class") == "empty"
    ]
    assert bar.get("d") == "M293 64v64"


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_are_text_never_markup(label):
    before = draw([[0.5, 0.5]], query=["a"], key=["b", "c"])
    root = draw([[0.5, 0.5]], query=[label], key=["b", label], title=label, subtitle=label, notes=[label])
    assert texts(root).count(label) == 5
    names = [each.tag for each in root.iter() if each.tag != f"{SVG}title"]
    assert set(names) == {each.tag for each in before.iter()} - {f"{SVG}title"}
    assert root.find(f"{SVG}title").text.endswith(label)


@pytest.mark.parametrize("label", FORBIDDEN, ids=ascii)
def test_control_characters_are_replaced(label):
    root = draw([[0.5]], query=[label], key=[label], title=label, subtitle=label, notes=[label])
    kept = [
        character
        for character in label
        if unicodedata.category(character) not in ("Cc", "Cn") and character != "\u202e"
    ]
    assert [text for text in texts(root) if text.replace("\ufffd", "") == "".join(kept)]
    written = ET.tostring(root, encoding="unicode")
    assert not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\ufffe\uffff]", written)
    assert "\ufffd" in written


def test_any_labels_make_well_formed_xml():
    generator = random.Random(1)
    for _ in range(200):
        label = "".join(
            chr(generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000)]))
            for _ in range(30)
        )
        draw([[0.5]], query=[label], key=[label], title=label, subtitle=label, notes=[label])


def test_long_labels_are_cut_and_still_there_in_full():
    label = "很长的名字" * 10
    root = draw([[1.0]], query=[label], key=["k" * 60])
    assert {label, "k" * 60} <= set(texts(root))
    assert {"很长的名字很长的名字…", "k" * 21 + "…"} <= set(shown(root))


def test_missing_labels_are_indices():
    (panel,) = panels(draw(np.eye(3)))
    assert [text for text in shown(panel) if text.isdigit()][:6] == ["0", "1", "2", "0", "1", "2"]
    (panel,) = panels(draw(np.eye(2), key=["射手", "打野"]))
    assert shown(panel)[:4] == ["0", "1", "射手", "打野"]


@pytest.mark.parametrize(("count", "step"), [(10, 1), (32, 1), (64, 1), (128, 2), (256, 5)])
def test_labels_thin_out_evenly(count, step):
    (panel,) = panels(draw(np.full((count, 3), 0.5)))
    assert shown(panel)[: len(range(0, count, step))] == [str(index) for index in range(0, count, step)]


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3), (2, 1, 2), (16,), (17,), (40,), (5, 8)])
def test_each_leading_index_has_its_panel_up_to_sixteen(leading):
    weights = np.random.default_rng(2).random((*leading, 2, 3))
    root = draw(weights)
    drawn = panels(root)
    indices = list(np.ndindex(*leading))
    assert len(drawn) == min(len(indices), 16)
    for index, panel in zip(indices, drawn, strict=False):
        fills = [rectangle.get("fill") for rectangle in panel.iter(f"{SVG}rect")]
        assert fills == [expected_fill(weight, visible=True)[0] for weight in weights[index].ravel()]
    told = [text for text in shown(root) if "panels" in text]
    assert told == (
        [f"16 of {len(indices)} panels · 共 {len(indices)} 幅，这里是前 16 幅"] if len(indices) > 16 else []
    )


def test_panels_say_which_they_are_and_do_not_overlap():
    root = draw(np.full((2, 3, 4, 4), 0.25))
    titles = [shown(panel)[0] for panel in panels(root)]
    assert titles == [f"batch 批 {batch} · head 头 {head}" for batch in range(2) for head in range(3)]
    places = [tuple(map(float, re.findall(r"[\d.]+", panel.get("transform")))) for panel in panels(root)]
    (left, middle, _), (x, y, width, height) = sorted({x for x, _ in places}), map(float, root.get("viewBox").split())
    assert len(set(places)) == 6
    assert middle - left >= 4 * 64
    assert all(0 <= across < width and 0 <= down < height for across, down in places)
    assert (x, y) == (0, 0)


def test_notes_are_below_a_few_of_them():
    root = draw(np.eye(2), notes=[f"row {row}: no visible key" for row in range(9)])
    notes = [text for text in shown(root) if "row" in text or "notes" in text]
    assert notes == [*(f"row {row}: no visible key" for row in range(4)), "… 5 more notes · 另有 5 条说明"]


def test_the_legend_is_the_fixed_scale():
    root = draw([[0.3, 0.31]])
    ticks = [text for text in shown(root) if re.fullmatch(r"[01](\.\d+)?", text)][-5:]
    assert ticks == ["0", "0.25", "0.5", "0.75", "1"]
    stops = [(float(stop.get("offset")), stop.get("stop-color")) for stop in root.iter(f"{SVG}stop")]
    assert stops[0] == (0, VIRIDIS[0])
    assert stops[-1] == (1, VIRIDIS[-1])
    assert [stop for stop in stops if stop[1] != VIRIDIS[round(stop[0] * 255)]] == []


def test_it_says_in_words_what_it_shows():
    root = draw([[0.25, 0.75], [0.6, 0.4]], query=["团战", "抢龙"], key=["射手", "打野"], title="dot_product · softmax")
    assert root.get("role") == "img"
    named = {each.get("id"): each for each in root if each.get("id")}
    assert named[root.get("aria-labelledby")].text == "Attention weights 注意力权重: dot_product · softmax"
    description = named[root.get("aria-describedby")].text
    assert "1 × 2 × 2" in description
    assert "团战 → 打野 0.75; 抢龙 → 射手 0.6." in description


def test_it_is_the_same_to_the_last_byte():
    weights = np.random.default_rng(3).random((3, 7, 9))
    arguments = {"query_labels": None, "key_labels": list("abcdefghi"), "title": "t", "subtitle": "s", "notes": ["n"]}
    first = picture(weights, weights > 0.1, **arguments)
    assert picture(weights.copy(), weights > 0.1, **arguments) == first


def test_it_refers_to_nothing_outside_itself():
    written = picture(
        np.eye(3), np.eye(3, dtype=bool), query_labels=["http://a.example/"] * 3, key_labels=None,
        title="t", subtitle="s", notes=[],
    ).decode()  # fmt: skip
    root = ET.fromstring(written)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "title", "desc", "defs", "linearGradient", "stop", "pattern", "g", "rect", "path", "text"
    }  # fmt: skip
    for each in root.iter():
        for name, value in each.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name
            assert "style" not in name
            assert set(re.findall(r"url\((.*?)\)", value)) <= {
                "#attention-masked",
                "#attention-nan",
                "#attention-scale",
            }


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (32, 32), (128, 128), (3, 2, 4, 4), (16, 128, 128)], ids=str)
def test_it_is_neither_tiny_nor_gigantic(shape):
    weights = np.random.default_rng(4).random(shape)
    written = picture(
        weights, np.ones(shape, dtype=bool), query_labels=None, key_labels=None, title="t", subtitle="s", notes=[]
    )
    width, height = (float(ET.fromstring(written).get(name)) for name in ("width", "height"))
    assert 300 <= width <= 2600
    assert 200 <= height <= 2700
    assert len(written) < (2_000_000 if np.prod(shape) <= 128 * 128 else 5_000_000)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (0, 2, 2), (2, 0, 3)], ids=str)
def test_a_picture_of_nothing_says_so(shape):
    root = draw(np.zeros(shape))
    assert panels(root) == []
    assert "no cells to draw · 没有可绘制的单元格" in shown(root)


@pytest.mark.parametrize(
    "shape", [(2, 2), (256, 256), (16, 128, 128), (1000, 128, 128), (4, 256, 256), (0, 9, 9), (5, 0)]
)
def test_what_can_be_read_may_be_drawn(shape):
    require_drawable(shape)


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [((257, 2), ["256", "257"]), ((2, 4096), ["256", "4096"]), ((16, 256, 256), ["262144", "1048576", "16 panels"]),
     ((5, 256, 256), ["262144", "327680"]), ((0, 300, 2), ["300"])],
)  # fmt: skip
def test_what_nobody_could_read_is_refused_with_numbers(shape, numbers):
    with pytest.raises(TooLarge) as refused:
        require_drawable(shape)
    for part in ("expected at most", "received", "application/json", *numbers):
        assert part in str(refused.value)


def test_zero_has_no_sign():
    """Neither in a cell, nor in its tooltip."""
    root = draw(np.array([[-0.0, -1e-9], [-0.0, -0.0]]))
    written = " ".join(root.itertext())
    assert " 0" in written
    assert re.findall(r"[-−]0(?![.0-9e])", written) == []
