"""The benchmarks keep working while the service changes, and their page says what they found."""

import pytest

from benchmarks import plot, report
from benchmarks.figures import FOLDER, load
from benchmarks.over_http import rows, shares, sizes
from benchmarks.over_http.exchanges import OUTPUT, inference_binary, inference_json, plain_json, tensors
from tests.server import Server

SMALL = tensors(2, 3, 4, "float32", heads=2)

EXCHANGES = {
    "plain JSON": plain_json(SMALL),
    "plain JSON, float64": rows.small_json(),
    "inference, JSON": inference_json(SMALL, OUTPUT, rows.OUR_MODEL),
    "inference, binary": inference_binary(SMALL, OUTPUT, rows.OUR_MODEL),
    **{f"payload, {name}": form(tensors(4, 4, 8, "float32")) for name, form in sizes.FORMS.items()},
}


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_the_service_answers_what_the_benchmarks_ask(server: Server, exchange: rows.Exchange) -> None:
    """Status and numbers, as before every measurement."""
    exchange.once(server.port)


def test_a_wrong_number_is_noticed(server: Server) -> None:
    exchange = plain_json(SMALL)
    exchange.expected["output"][0, 1, 1, 3] += 0.001
    with pytest.raises(AssertionError, match="output"):
        exchange.once(server.port)


def test_every_layer_of_a_small_request_can_be_called(capfd: pytest.CaptureFixture[str]) -> None:
    """Each with all that are inside it, the framework being the last."""
    layers = shares.layers(rows.small_json())
    assert all(layer(1) > 0 for layer in layers.values())
    assert all(layer(1) > 0 for layer in shares.layers_of_a_new_form(rows.small_json()).values())
    assert list(layers)[-1] == shares.FRAMEWORK


def test_rows_are_told_apart() -> None:
    names = [row.name for row in rows.ROWS]
    assert len(set(names)) == len(names)


def kept(name: str) -> bool:
    """Whether there are figures of a benchmark yet."""
    return (FOLDER / f"{name.removesuffix(' machine')}.json").exists()


@pytest.mark.parametrize("table", [name for name in report.TABLES if kept(name)])
def test_the_page_has_what_was_kept(table: str) -> None:
    page = report.PAGE.read_text()
    document = load(table.removesuffix(" machine"))
    assert report.replaced(page, table, report.TABLES[table](document)) == page


@pytest.mark.parametrize("figures", [name for name in plot.PICTURES if kept(name)])
def test_the_pictures_show_what_was_kept(figures: str) -> None:
    picture, file = plot.PICTURES[figures]
    assert picture.draw(list(load(figures)["rows"].values())) == (FOLDER / file).read_text()
