"""The lesson as a person walks it, and what its ten steps should say, computed here from the worked examples."""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

from playwright.async_api import Page, expect

from service.examples import load_examples
from tests.browser.playground import Playground

STEPS = 10

Row = list[float]


def softmax(scores: Row, temperature: float = 1.0) -> Row:
    """Return the softmax of one row."""
    exponentials = [exp((score - max(scores)) / temperature) for score in scores]
    return [each / sum(exponentials) for each in exponentials]


def products(query: Row, keys: list[Row], scale: float = 1.0) -> Row:
    """Return the scaled dot products of one query."""
    return [scale * sum(q * k for q, k in zip(query, key, strict=True)) for key in keys]


def mixed(weights: Row, values: list[Row]) -> Row:
    """Return the output of one query."""
    return [sum(weight * value[column] for weight, value in zip(weights, values, strict=True)) for column in range(3)]


def ranked(row: Row, place: int = 0) -> int:
    """Return the index of the largest number, or of the next."""
    return sorted(range(len(row)), key=lambda index: -row[index])[place]


def request_of(example: str) -> Any:
    """Return the request of a worked example."""
    return load_examples()[example].request


@dataclass(frozen=True)
class Expected:
    """The right choice or number of a step, and numbers that its explanation says."""

    answer: float
    said: tuple[float, ...]
    is_number: bool = False


def expected_steps() -> list[Expected]:
    """Return what each step should accept and say."""
    team = request_of("honor-of-kings")
    query, keys, values = team["query"][0], team["key"], team["value"]
    fight = softmax(products(query, keys, 0.5))
    safe = softmax(products(query, [[0.1, *keys[0][1:]], *keys[1:]], 0.5))
    score = products(query, keys)[0]

    noise = request_of("why-sqrt-d")
    raw, scaled = (softmax(products(noise["query"][0], noise["key"], scale)) for scale in (1.0, 1 / sqrt(64)))
    seventy = softmax(products(request_of("seed-proportional")["query"][0], request_of("seed-proportional")["key"]))
    home = [0.0, *softmax(products(query, keys[1:], 0.5))]
    shares = [key[0] for key in request_of("seed-mixing")["key"]]
    blend = mixed(shares, values)[0]

    dragon = softmax(products(request_of("honor-of-kings-dragon")["query"][0], keys, 0.5))
    roles = mixed(dragon, values)
    near = softmax([-sum(abs(q - k) for q, k in zip(query, key, strict=True)) for key in keys])
    second = ranked(near, 1)
    sharp = softmax(products(query, keys, 0.5), 0.775)
    decision = mixed(sharp, values)

    assert safe[0] < fight[0]
    assert max(scaled) < 0.5
    assert seventy[0] > 0.99
    assert home[1] / home[2] - fight[1] / fight[2] < 1e-12
    assert sharp[0] > fight[0]
    return [
        Expected(ranked(fight), (max(fight),)),
        Expected(1, (fight[0], safe[0], max(safe))),
        Expected(score, (score,), is_number=True),
        Expected(2, (max(raw), max(scaled), sum(weight * (1 - weight) for weight in scaled))),
        Expected(2, (seventy[0], 55)),
        Expected(2, (home[0], fight[ranked(home)], max(home))),
        Expected(blend, (blend,), is_number=True),
        Expected(ranked(roles), (max(roles), max(dragon))),
        Expected(second, (fight[second], near[second])),
        Expected(0, (0.775, sharp[0], decision[ranked(decision)], decision[ranked(decision, 1)])),
    ]


def written(number: float) -> str:
    """Return a number as texts of the lesson write it."""
    return f"{number:.4f}".rstrip("0").rstrip(".") if number else "0"


class Lesson:
    """The panel of the lesson."""

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        self.page: Page = playground.page
        self.root = self.page.locator("#lesson")
        self.title = self.page.locator("#lesson-title")
        self.verdict = self.page.locator("#lesson-verdict")
        self.choices = self.root.locator(".choice")
        self.number = self.root.locator("#lesson-question input")
        self.next = self.page.locator("#lesson-next")
        self.show = self.root.locator('[data-action="show"]')
        self.part = self.page.locator("[data-lesson-part]")

    async def at(self, step: int, *, answered: bool = False) -> None:
        """Wait for a step, counted from 1, and its result."""
        await expect(self.page.locator("#lesson-progress")).to_have_text(f"{step} / {STEPS}")
        if answered:
            await expect(self.verdict).to_have_attribute("data-judgement", "right")
        else:
            await expect(self.show).to_be_enabled()
        await self.playground.fresh()

    async def begin(self) -> None:
        """Press the button in the bar."""
        await self.page.locator("#learn").click()
        await self.at(1)

    async def go(self, step: int) -> None:
        """Go on from the first step to another."""
        for reached in range(2, step + 1):
            await self.next.click()
            await self.at(reached)
