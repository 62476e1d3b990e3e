"""What newcomers come for, each as one script for every hand, language and browser, and what they read at the end."""

import base64
import json
import math
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
from numpy.typing import NDArray

from attention_heat_map.viridis import VIRIDIS
from tests import oracle
from tests.browser.compared import OPENING, opening
from tests.browser.hands import Hand, encoded
from tests.browser.lesson import STEPS, expected_steps, written
from tests.browser.page_scripts import (
    BOTH_CONFIRMED,
    CARDS,
    CURSOR,
    DROP,
    GLANCE,
    HEADINGS,
    JUDGED,
    LARGE_NUMBERS,
    LESSON,
    PIXELS,
    PLACES,
    POINTED_AT,
    SIDE,
    TWELVE_HEADS,
)
from tests.browser.playground import TAGS, number
from tests.browser.scripted_playground import ScriptedPlayground
from tests.browser.snippets.judge import assert_right, run
from tests.server import Server

TEXTS = Path(__file__).parents[2] / "service" / "explanation" / "texts.json"

QUERIES = {"zh": ["团战", "抢龙"], "en": ["team fight", "dragon up"]}

KEYS = {"zh": ["射手", "打野", "中路", "上路"], "en": ["marksman", "jungler", "mid", "top"]}

TABLE = {
    "zh": ("颜色 大小 速度 声音 毛", "猫 狗 鱼 鸟 牛 马"),
    "en": ("colour size speed voice fur", "cat dog fish bird cow horse"),
}
"""Names of the columns and rows of a spreadsheet."""

LARGE = 4096

CELL = (3999, 17)


@dataclass
class Newcomer:
    """A person at the open page: with which hand, in which language, and where files are kept."""

    playground: ScriptedPlayground
    hand: Hand
    language: str
    server: Server
    folder: Path
    opened: Callable[[str, str], Awaitable[ScriptedPlayground]]
    """Opens an address in a language, as another person does."""

    @property
    def page(self) -> Any:
        """The page."""
        return self.playground.page

    async def assert_map(self, stage: str, expected: list[list[Any]]) -> None:
        """A map shows these numbers, all with as many decimals as they need: at most four, and two on a telephone."""
        shown = await self.playground.texts(stage)
        decimals = max(len(text.partition(".")[2]) for row in shown for text in row)
        assert decimals <= 4
        np.testing.assert_allclose(
            [[number(text) for text in row] for row in shown],
            np.array(expected, dtype=np.float64),
            rtol=0,
            atol=0.5001 * 10.0 ** -max(2, decimals),
        )


async def paste_a_table(user: Newcomer) -> None:
    """One paste brings numbers and names, and the other matrices follow its size with zeros."""
    columns, rows = (names.split(" ") for names in TABLE[user.language])
    numbers = np.random.default_rng(6).normal(size=(6, 5)).round(2).tolist()
    lines = [["", *columns], *([name, *row] for name, row in zip(rows, numbers, strict=True))]
    await user.hand.paste(
        user.playground.field("key", 0, 0), "".join("\t".join(map(str, line)) + "\r\n" for line in lines)
    )
    await user.page.until_text('table[data-stage="weights"]', rows[5])
    await user.playground.fresh("match")
    assert await user.page.call(HEADINGS, "weights") == rows
    request = opening(query=[[*row, 0] for row in OPENING["query"]], key=numbers)
    request["value"] = [*OPENING["value"], [0, 0, 0], [0, 0, 0]]
    expected = oracle.attention(request)
    for stage in ("scores", "weights", "output"):
        await user.assert_map(stage, expected[stage])


DRAWS, RANDOM_KEYS = 400, 8


def largest_weights(features: int) -> list[tuple[float, float]]:
    """Mean and spread of the largest weight, unscaled and scaled: given |q|, the scores are independent and normal."""
    random = np.random.default_rng(features)
    norms = np.sqrt(random.chisquare(features, (40_000, 1)))
    scores = norms * random.standard_normal((40_000, RANDOM_KEYS))
    found = []
    for scale in (1.0, features**-0.5):
        exponentials = np.exp(scale * (scores - scores.max(axis=1, keepdims=True)))
        largest = 1 / exponentials.sum(axis=1)
        found.append((float(largest.mean()), float(largest.std())))
    return found


def assert_near(text: str, expected: tuple[float, float]) -> None:
    """A mean of the page, in two decimals or more, has this mean and spread."""
    mean, spread = expected
    assert abs(number(text) - mean) <= 4 * spread / math.sqrt(DRAWS) + 0.005


async def see_why_scores_are_scaled(user: Newcomer) -> None:
    """Random keys: unscaled, one key takes nearly all for many features; scaled, none does."""
    await user.hand.press("#tab-sweep")
    await user.hand.press('[data-sweep="random"]')
    await user.page.until_text("#view-other .says", "√D")
    unscaled, scaled = largest_weights(1024)
    *_, low, high, _, _, near = re.findall(r"\d+(?:\.\d+)?", await user.page.text("#view-other .says"))
    for text, expected in ((low, largest_weights(4)[0]), (high, unscaled), (near, scaled)):
        assert_near(text, expected)
    await user.page.until("() => !document.querySelector('#view-other table.values').textContent.includes('…')")
    (_, *largest), _, (_, *deviation), (_, *browser), (_, *service), (_, *apart) = await user.page.call(CURSOR)
    for text, expected in zip(largest, (unscaled, scaled), strict=True):
        assert_near(text, expected)
    assert abs(number(deviation[0]) / math.sqrt(1024) - 1) <= 0.05
    assert browser == service
    assert all(number(each) <= 1e-12 for each in apart)


async def compare_softmax_and_sparsemax(user: Newcomer) -> None:
    """Both maps and their difference, and where it is largest."""
    await user.hand.press("#tab-compare")
    await user.hand.press('[data-preset="sparsemax"]')
    await user.page.until(BOTH_CONFIRMED)
    a, b = (
        np.array(oracle.attention(request)["weights"], dtype=np.float64)
        for request in (opening(), opening(normalizer={"name": "sparsemax"}))
    )
    for side, expected in (("a", a), ("b", b), ("difference", b - a)):
        shown = [[number(text) for text in row] for row in await user.page.call(SIDE, side)]
        np.testing.assert_allclose(shown, expected, rtol=0, atol=1e-12)
    row, column = np.unravel_index(np.abs(b - a).argmax(), a.shape)
    place = f"{QUERIES[user.language][row]} → {KEYS[user.language][column]}"
    for text in (f"{np.abs(b - a).max():.4f}", place):
        await user.page.until_text(".compare-summary", text)


async def write_a_score_function(user: Newcomer) -> None:
    """The formula gives the scores; dragging the temperature flattens the weights."""
    await user.hand.choose("#score-model", "expression")
    await user.hand.write('[data-parameter="formula"]', "-sum(abs(q-k))")
    query, key = (np.array(OPENING[name]) for name in ("query", "key"))
    scores = -np.abs(query[:, None] - key).sum(axis=-1)
    await user.page.until_text('table[data-stage="scores"] tbody td', f"−{-scores[0, 0]:.3g}")
    await user.playground.fresh()
    await user.assert_map("scores", scores.tolist())
    await user.assert_map("weights", softmax(scores).tolist())
    await user.hand.drag("#temperature-slider")
    await user.page.until("() => Number(document.querySelector('#temperature').value) !== 1")
    await user.playground.fresh()
    temperature = number(await user.playground.value("#temperature"))
    await user.assert_map("weights", softmax(scores / temperature).tolist())


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return the softmax of each row."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights: NDArray[Any] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return weights


WRONG_PLACE = {"zh": "权重，查询 1 → 键 1", "en": "Weights, query 1 → key 1"}


async def check_a_wrong_kernel(user: Newcomer) -> None:
    """A file of a kernel that forgets the scale: the page says so, and shows how far its weights are off."""
    random = np.random.default_rng(7)
    arrays = {name: random.standard_normal((5, 8)) for name in "qkv"}
    scores = arrays["q"] @ arrays["k"].T
    wrong, right = softmax(scores), softmax(scores / math.sqrt(8))
    path = user.folder / "mine.npz"
    np.savez(path, **arrays, weights=wrong, output=wrong @ arrays["v"])
    await user.hand.press("#tab-check")
    await user.page.until("() => document.querySelector('.view-check .drop')?.checkVisibility()")
    await user.hand.give_file(path, ".view-check [data-action=choose]", DROP)
    cause = json.loads(TEXTS.read_text(encoding="utf-8"))["mistakes"]["scale missing"][user.language]
    await user.page.until_text(".view-check .verdict", cause)
    await user.page.until_text(".view-check .first", WRONG_PLACE[user.language])
    shown = await user.page.text('table[data-stage="differences"] [data-row="1"][data-column="2"]')
    assert abs(number(shown) - (wrong - right)[1, 2]) <= 5e-4


async def run_the_python(user: Newcomer) -> None:
    """The copied program runs, and gives the numbers of the definition."""
    await user.hand.press("#tab-request")
    await user.hand.press('.view-request [data-option="client"]')
    await user.hand.press(".view-request .primary")
    await user.page.until("() => !document.querySelector('#toast').hidden")
    program = await user.hand.clipboard()
    assert_right("client", OPENING, run(sys.executable, {"client": program})["client"])


SVG = "{http://www.w3.org/2000/svg}"


async def export_with_chinese_labels(user: Newcomer) -> None:
    """SVG and PNG with the numbers of the service; Chinese names are drawn, each in its own shape."""
    await user.hand.press("#tab-export")
    if user.language != "zh":
        await user.hand.press('[data-language="zh"]')
    await user.page.until_text(".view-export svg[role=img]", "射手")
    path = await user.page.download(user.hand.press(".view-export .primary"), user.folder)
    drawing = ET.parse(path).getroot()
    async with httpx.AsyncClient(base_url=user.server.url, timeout=30) as client:
        answer = (await client.post("/v1/attention", json={**OPENING, "include": ["scores", "weights"]})).json()
    numbers = {stage: [one for row in answer[stage] for one in row] for stage in ("scores", "weights")}
    names = [(query, key) for query in QUERIES["zh"] for key in KEYS["zh"]]
    for stage, all_expected in numbers.items():
        cells = drawing.iterfind(f".//{SVG}g[@data-stage='{stage}']//{SVG}g[@class='cell']/{SVG}title")
        for cell, (query, key), expected in zip(cells, names, all_expected, strict=True):
            assert (cell.text or "").startswith(f"{query}，{key}：")
            assert number((cell.text or "").rpartition("：")[2]) == expected
    places = await user.page.call(PLACES, KEYS["zh"])
    await user.hand.press('.view-export [data-option="png"]')
    path = await user.page.download(user.hand.press(".view-export .primary"), user.folder)
    assert path.name == "honor-of-kings-both-figure.png"
    found = await user.page.call(PIXELS, encoded(path), places)
    assert found["size"] == [2 * int(drawing.attrib[side]) for side in ("width", "height")]
    assert {VIRIDIS[round(weight * 255)] for weight in numbers["weights"]} <= set(found["colours"])
    assert len(set(found["ink"])) == len(KEYS["zh"])
    assert all("1" in ink for ink in found["ink"])


async def walk_the_lesson(user: Newcomer, last: int = STEPS) -> None:
    """Each step asks, judges the answer, explains it with its numbers, and points at the part that it speaks of."""
    await user.hand.press("#learn")
    for step, expected in enumerate(expected_steps()[:last], 1):
        await user.page.until(LESSON, step)
        await user.playground.fresh()
        if expected.is_number:
            await user.hand.write("#lesson-question input", str(expected.answer))
            await user.page.press("Enter")
            user.hand.acts += 1
        else:
            await user.hand.press(f"#lesson .choice:nth-of-type({int(expected.answer) + 1})")
        await user.page.until(JUDGED)
        rest = await user.page.text("#lesson-verdict")
        for said in map(written, expected.said):
            assert said in rest, (said, rest)
            rest = rest[rest.index(said) :]
        await user.page.until(POINTED_AT)
        await user.playground.fresh()
        await user.hand.press("#lesson-next" if step == STEPS or step < last else "#lesson-leave")
    await user.page.until("() => document.querySelector('#lesson').hidden")
    await user.playground.fresh()
    assert (await user.playground.texts("weights"))[0][0] == "0.7017"


async def send_a_link(user: Newcomer) -> None:
    """Who opens it sees the same numbers in their own language."""
    await user.hand.write(user.playground.field("key", 0, 0), "0.25")
    await user.playground.fresh("match")
    await user.hand.press("#share")
    await user.page.until("() => !document.querySelector('#toast').hidden")
    link = await user.hand.clipboard()
    assert re.match(rf"{re.escape(user.server.url)}/playground#2\.[\w-]+$", link)
    [other] = QUERIES.keys() - {user.language}
    reader = Newcomer(await user.opened(link, other), user.hand, other, user.server, user.folder, user.opened)
    await reader.playground.fresh("match")
    assert await reader.page.call("() => document.documentElement.lang") == TAGS[other]
    assert await reader.playground.value(reader.playground.field("key", 0, 0)) == "0.25"
    assert await reader.page.call(HEADINGS, "weights") == KEYS[other]
    (_, *first), *others = OPENING["key"]
    await reader.assert_map("weights", oracle.attention(opening(key=[[0.25, *first], *others]))["weights"])


async def glance_at_twelve_heads(user: Newcomer) -> None:
    """Twelve maps of 64 × 64 on one screen, each with the entropy of its rows."""
    await user.hand.press("#tab-heads")
    await user.hand.press(".heads-example")
    await user.page.until("(selector) => document.querySelectorAll(selector).length === 12", CARDS)
    request = await user.page.call(TWELVE_HEADS)
    query, key = (np.array(request[name])[0] for name in ("query", "key"))
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    weights = softmax(np.where(np.tril(np.ones((64, 64), bool)), scores, -np.inf))
    entropies = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1).mean(axis=-1)
    glance = await user.page.call(GLANCE, CARDS)
    for text, entropy in zip(glance["texts"], entropies, strict=True):
        found = re.search(r"(?:entropy|熵) (\d+\.\d\d)", text)
        assert found, text
        assert abs(float(found[1]) - entropy) <= 0.00501
    assert glance["height"] <= glance["screen"]
    assert glance["width"] >= 64
    # The first head looks one key back: there its colours are brightest.
    near, *others = glance["back"]
    assert all(near > each + 20 for each in others)


async def find_a_cell(user: Newcomer) -> None:
    """One weight of 16 million, by the numbers of its query and its key."""
    await user.hand.press("#tab-overview")
    await user.page.until_text(".overview-said", "1024 ×")
    for name in ("queries", "keys"):
        await user.hand.write(f'[data-option="{name}"]', str(LARGE))
    # Leaving the second field makes its number count.
    await user.page.press("Tab")
    await user.page.until_text(".overview-said", f"{LARGE} ×")
    await user.page.until_text(".overview-said", "|Δ|")
    for name, at in zip(("row", "column"), CELL, strict=True):
        await user.hand.write(f'[data-find="{name}"]', str(at + 1))
    for at in CELL:
        await user.page.until_text(".overview-value", f" {at + 1}")
    shown = float(await user.page.call("() => document.querySelector('.overview-value').dataset.value"))
    options = {"seed": 1, "queries": LARGE, "keys": LARGE, "features": 64, "sharp": 2}
    query, key = (
        np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64).reshape(-1, 64)
        for text in await user.page.call(LARGE_NUMBERS, options, CELL[0])
    )
    expected = softmax(query @ key[: CELL[0] + 1].T / 8)[0, CELL[1]]
    assert abs(shown / expected - 1) <= 1e-5


@dataclass(frozen=True)
class Task:
    """A script, and the acts that it takes at most."""

    walk: Callable[[Newcomer], Awaitable[None]]
    mouse: int
    touch: int
    keyboard: int


TASKS = {
    "paste a table of 6 × 5 with names": Task(paste_a_table, 2, 2, 2),
    "see why √D": Task(see_why_scores_are_scaled, 2, 2, 4),
    "compare softmax and sparsemax": Task(compare_softmax_and_sparsemax, 2, 2, 3),
    "write a score function, drag its temperature": Task(write_a_score_function, 5, 5, 14),
    "check an .npz of a wrong kernel": Task(check_a_wrong_kernel, 2, 3, 7),
    "copy Python and run it": Task(run_the_python, 3, 3, 6),
    "export SVG and PNG with Chinese labels": Task(export_with_chinese_labels, 5, 5, 7),
    "walk the ten steps of the lesson": Task(walk_the_lesson, 25, 25, 23),
    "open a link in the other language": Task(send_a_link, 3, 3, 3),
    "see 12 heads of 64 × 64": Task(glance_at_twelve_heads, 2, 2, 6),
    "find one cell of 4096 × 4096": Task(find_a_cell, 9, 9, 10),
}
