"""Accessibility as axe-core judges it, by all of its rules but the contrast of level AAA."""

from pathlib import Path

from playwright.async_api import Page

from tests.browser.conftest import SETTLE

AXE = Path(__file__).parents[2] / ".venv-browser" / "node_modules" / "axe-core" / "axe.min.js"

LEFT_OUT = ("color-contrast-enhanced",)
"""Rules of level AAA, which the colours of the pages are not made for."""

RUN = """
async (leftOut) => {
  const rules = Object.fromEntries(
    axe.getRules().map(({ ruleId }) => [ruleId, { enabled: !leftOut.includes(ruleId) }]));
  const { violations } = await axe.run(document, { rules, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => [id, target.join(" "), failureSummary.replace(/\\s+/g, " ")]));
}
"""


IS_EXPLAINED = """
() => {
  const explain = document.querySelector("#explain");
  return !explain?.checkVisibility() || explain.dataset.state !== "pending";
}
"""


async def violations_of(page: Page) -> list[tuple[str, str, str]]:
    """Return rule, selector and explanation of everything in a page, as it is now, that breaks a rule."""
    # Steps that are being asked for are faint until they have come.
    await page.wait_for_function(IS_EXPLAINED)
    await page.evaluate(SETTLE)
    if not await page.evaluate("() => 'axe' in window"):
        # The policy of the page lets no script in; a function that the browser is given runs all the same.
        await page.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")
    return [tuple(violation) for violation in await page.evaluate(RUN, list(LEFT_OUT))]


async def assert_accessible(page: Page) -> None:
    """Raise AssertionError where a rule is broken; it says where and how."""
    violations = await violations_of(page)
    assert not violations, "\n".join(" | ".join(violation) for violation in violations)
