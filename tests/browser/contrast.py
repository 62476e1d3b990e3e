"""Contrast as WCAG defines it, from the colours that the browser has computed."""

from statistics import mean

from playwright.async_api import Page

READABLE = 4.5
"""Level AA for text of ordinary size."""

MEASURE = """
() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, i) => part * a + below[i] * (1 - a));
  const background = (element) => element
    ? over(parse(getComputedStyle(element).backgroundColor), background(element.parentElement))
    : (matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]);
  const luminance = (colour) => colour
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = [...document.body.querySelectorAll("*")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  return texts.filter((element) => element.checkVisibility()).map((element) => {
    const behind = background(element);
    const [low, high] = [luminance(behind), luminance(over(parse(getComputedStyle(element).color), behind))]
      .sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), luminance(behind), element.outerHTML.slice(0, 80)];
  });
}
"""


async def assert_readable(page: Page, *, dark: bool) -> None:
    """Every visible text contrasts with its background; most backgrounds are dark or light, as `dark` says."""
    measured = await page.evaluate(MEASURE)
    faint = [(contrast, element) for contrast, _, element in measured if contrast < READABLE]
    assert not faint, faint
    in_the_dark = [luminance < 0.2 for _, luminance, _ in measured]
    assert (mean(in_the_dark) > 0.5) is dark
