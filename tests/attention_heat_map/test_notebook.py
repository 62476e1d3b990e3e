"""What a notebook shows of a result, read back from its HTML as a browser reads it."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import attention_core
from attention_client import AttentionClient
from attention_heat_map.heat_map import heat_map
from attention_heat_map.notebook import MAX_NOTES, MAX_SIDE, result_html
from tests.sampling import product_sample
from tests.server import Server

SVG = "{http://www.w3.org/2000/svg}"
MAX_BYTES = 300_000
HOSTILE = """<script>alert(1)</script>"'&]]><img src=x onerror=alert(1)>\x1b[31m\u202e"""


class Page(HTMLParser):
    """The elements of a fragment with their attributes, its texts, and whether each element was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.opened: list[str] = []
        self.feed(html)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def pictures(self) -> list[ET.Element]:
        prefix = "data:image/svg+xml;base64,"
        sources = [attributes["src"] or "" for tag, attributes in self.elements if tag == "img"]
        assert all(source.startswith(prefix) for source in sources)
        return [ET.fromstring(b64decode(source.removeprefix(prefix), validate=True)) for source in sources]

    def rows(self) -> dict[str, list[str]]:
        """Shape and number type of each field."""
        pattern = r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>'
        return {name: [shape, dtype] for name, shape, dtype in re.findall(pattern, self.html)}


def safe(page: Page) -> None:
    """No element, attribute or address beyond those that a table and an embedded picture need."""
    assert {tag for tag, _ in page.elements} <= {
        "div", "img", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li",
    }  # fmt: skip
    assert {name for _, attributes in page.elements for name in attributes} <= {"src", "alt", "style", "scope"}
    for picture in page.pictures():
        for element in picture.iter():
            assert element.tag.removeprefix(SVG) not in ("script", "a", "image", "foreignObject", "style")
            assert not [name for name in element.attrib if name.startswith("on") or "href" in name]


def drawn(page: Page, kind: str) -> list[ET.Element]:
    [picture] = page.pictures()
    return [element for element in picture.iter() if element.get("class") == kind]


def texts(picture: ET.Element) -> list[str]:
    return [text for element in picture.iter(f"{SVG}text") for text in element.itertext()]


def test_a_result_of_the_core_shows_its_weights_arrays_and_notes() -> None:
    result = attention_core.attend([[1.0], [1.0]], [[1.0], [2.0]], [[1.0], [5.0]], mask=attention_core.Causal())
    page = Page(result._repr_html_())
    safe(page)
    [picture] = page.pictures()
    assert "scaled_dot_product · softmax · float64" in texts(picture)
    assert {"1", "0.2689", "0.7311"} <= set(texts(picture))
    assert page.rows() == {name: [str(array.shape), "float64"] for name, array in result.arrays.items()}


def test_the_picture_is_that_of_the_service() -> None:
    """One renderer: apart from its subtitle, the picture of a small result is the document that the service sends."""
    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    logits = np.array([[0.0, 1.0], [0.0, -np.inf]])
    [shown] = Page(result_html({"weights": weights, "logits": logits}, title="softmax")).pictures()
    subtitle = "weights, 2 queries × 2 keys"
    assert ET.tostring(shown) == ET.tostring(
        ET.fromstring(heat_map(weights, ~np.isneginf(logits), title="softmax", subtitle=subtitle))
    )
    assert len([element for element in shown.iter() if element.get("class") == "masked"]) == 1


def test_a_result_of_the_client_shows_itself(server: Server) -> None:
    with AttentionClient(server.url) as client:
        result = client.attend([[1.0], [1.0]], [[1.0], [2.0]], [[1.0], [5.0]], include=["weights", "output"])
        page = Page(result._repr_html_())
    safe(page)
    assert f"scaled_dot_product · {result.dtype}" in page.texts
    assert {"0.2689", "0.7311"} <= set(texts(page.pictures()[0]))
    assert set(page.rows()) == {"weights", "output"}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("include", [("output",), ("weights", "logits"), ("mean_weights", "logits", "output")], ids=str)
def test_every_number_type_and_choice_of_fields_is_shown(dtype: str, include: tuple[str, ...]) -> None:
    query = np.ones((1, 2, 3, 4))
    result = attention_core.attend(query, query, query, dtype=dtype, include=include, mask=attention_core.Causal())
    page = Page(result._repr_html_())
    safe(page)
    assert set(page.rows()) == set(include)
    assert len(page.pictures()) == (include != ("output",))
    panels = {"weights": 2, "mean_weights": 1}.get(include[0], 0)
    if panels:
        assert len(drawn(page, "panel")) == panels
        assert len(drawn(page, "masked")) == panels * 3


@pytest.mark.parametrize(
    "shape",
    [(0, 3), (3, 0), (2, 0, 3, 3), (1, 1), (5,) * 4, (2, 1, 2, 1, 3, 2), (48, 48), (16, 2, 2), (300, 2)],
    ids=str,
)
def test_any_shape_is_shown_in_few_bytes(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(0).random(shape)
    html = result_html({"weights": weights}, title="softmax")
    safe(Page(html))
    assert len(html) < MAX_BYTES


@pytest.mark.parametrize(
    ("queries", "keys", "leading"), product_sample(4, [1, 41, 5000], [1, 40, 5000], [(), (3,), (4, 8)])
)
def test_a_large_result_is_cut_and_says_so(queries: int, keys: int, leading: tuple[int, ...]) -> None:
    row = np.random.default_rng(1).random(keys)
    weights = np.broadcast_to(row, (*leading, queries, keys))
    html = result_html({"weights": weights}, title="softmax")
    page = Page(html)
    safe(page)
    assert len(html) < MAX_BYTES
    said = " ".join(texts(page.pictures()[0]))
    assert (f"first {MAX_SIDE} of {queries} queries" in said) == (queries > MAX_SIDE)
    assert (f"first {MAX_SIDE} of {keys} keys" in said) == (keys > MAX_SIDE)
    assert ("4 of 32 panels" in said) == (leading == (4, 8))


def test_numbers_that_are_not_finite_are_shown_without_warnings() -> None:
    weights = np.array([[np.nan, 1.5], [-0.5, np.inf]])
    page = Page(result_html({"weights": weights, "output": np.full((2, 1), np.nan)}, title="none"))
    assert len(drawn(page, "nan")) == 1
    assert {"above 1 · 大于 1", "below 0 · 小于 0"} <= set(texts(page.pictures()[0]))
    assert page.texts.count("1.5") == page.texts.count("-0.5") == 1


def test_every_text_is_escaped_and_notes_are_bounded() -> None:
    html = result_html({"weights": np.ones((1, 1)), HOSTILE: np.ones(1)}, title=HOSTILE, notes=[HOSTILE] * 20)
    page = Page(html)
    safe(page)
    assert sum(tag == "li" for tag, _ in page.elements) == MAX_NOTES + 1
    assert f"… {20 - MAX_NOTES} more notes" in page.texts
    assert not re.search("[\x00-\x1f\u202e]", html)
