"""What lists the representations lists all of them, and reads and writes them as their descriptions say."""

import httpx
import pytest

from service.codecs.registry import CODECS, DRAWINGS, READERS, WRITERS
from service.problems import PROBLEMS
from service.telemetry.exchange import MEDIA_TYPES, media_type_of
from tests.promises.readme import LANGUAGES, codes, table

REQUEST = {"query": [[1.0, 0.5]], "key": [[1.0, 0.0], [0.0, 1.0]], "value": [[1.0], [2.0]]}
OFFERED = [*WRITERS, *DRAWINGS]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_has_each(language: str) -> None:
    rows = table(language, "Representation")
    assert [codes(row[1])[0] for row in rows] == [*CODECS]
    assert [codes(row[2])[0] for row in rows] == [codec.suffix for codec in CODECS.values()]


def test_descriptions_differ_and_are_whole() -> None:
    assert len({codec.suffix for codec in CODECS.values()}) == len(CODECS)
    for name, codec in CODECS.items():
        assert (codec.encode is None) != (codec.drawing is None), name
        assert all((codec.title.zh, codec.title.en)), name


@pytest.mark.parametrize("media_type", OFFERED)
async def test_an_answer_comes_in_each(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/v1/attention", json=REQUEST, headers={"Accept": media_type})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    merged = await client.post("/v1/attention/estimate", json=REQUEST, headers={"Accept": media_type})
    assert merged.status_code == (200 if media_type in WRITERS else 406), merged.text


async def test_a_body_in_another_is_refused_with_the_list(client: httpx.AsyncClient) -> None:
    for media_type in {*CODECS, "text/plain"} - {*READERS}:
        answer = await client.post("/v1/attention", content=b"{}", headers={"Content-Type": media_type})
        assert answer.status_code == 415
        assert answer.headers["accept"].split(", ") == [*READERS]
        assert all(name in answer.json()["detail"] for name in READERS)


async def test_the_document_describes_each(client: httpx.AsyncClient) -> None:
    operations = (await client.get("/openapi.json")).json()["paths"]
    attention, merge = (operations[path]["post"] for path in ("/v1/attention", "/v1/attention/merge"))
    for operation, answered in ((attention, {*OFFERED, "text/event-stream"}), (merge, {*WRITERS})):
        assert set(operation["requestBody"]["content"]) == {*READERS}
        assert set(operation["responses"]["200"]["content"]) == answered


async def test_problems_and_metrics_know_each(client: httpx.AsyncClient) -> None:
    for media_type in CODECS:
        assert media_type_of(media_type.encode()) == media_type
        assert media_type in MEDIA_TYPES
    for language in ("zh", "en"):
        assert all(name in getattr(PROBLEMS["not-acceptable"].advice, language) for name in OFFERED)
        assert all(name in getattr(PROBLEMS["unsupported-media-type"].advice, language) for name in READERS)
    refused = await client.post("/v1/attention", json=REQUEST, headers={"Accept": "image/png"})
    assert refused.status_code == 406
    assert all(name in refused.json()["detail"] for name in OFFERED)
