"""SVG elements as text; labels and other text of a request are escaped here."""

from dataclasses import dataclass
from html import escape

from attention_heat_map.labels import column_counts, printable

FONTS = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

EM = (0.0, 0.58, 1.02)
"""Upper estimate of the width of a character, in units of the font size, by its columns: 0, 1 or 2."""

INK = "#1a1a1a"
FAINT = "#595959"

Attribute = str | float


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture, drawn from its upper left corner, with its width and height in pixels."""

    markup: str
    width: float
    height: float


def element(name: str, *content: str, **attributes: Attribute) -> str:
    """Return an element around content that is markup already; ``stroke_width`` is written ``stroke-width``."""
    opening = " ".join([name, *(f'{key.replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())])
    return f"<{opening}>{''.join(content)}</{name}>" if content else f"<{opening}/>"


def text(shown: str, x: float, y: float, *, full: str | None = None, **attributes: Attribute) -> str:
    """Return a line of text with its baseline at y; `full` is the whole text, if `shown` was shortened."""
    inside = [escaped(shown)]
    if full is not None and full != shown:
        inside.append(title(full))
    return element("text", *inside, x=x, y=y, **attributes)


def title(full: str) -> str:
    """Return the tooltip of the parent element."""
    return f"<title>{escaped(full)}</title>"


def group(*content: str, **attributes: Attribute) -> str:
    """Return a group of elements, or nothing when there are none."""
    inside = "".join(content)
    return element("g", inside, **attributes) if inside else ""


def at(x: float, y: float, *content: str) -> str:
    """Return elements moved to a place."""
    return group(*content, transform=f"translate({number(x)} {number(y)})")


def escaped(content: str) -> str:
    """Return text that is safe inside elements and attributes."""
    return escape(printable(content))


def number(value: float) -> str:
    """Return a coordinate, to a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text_width(content: str, size: float) -> float:
    """Return the approximate width of a line of text, in pixels."""
    return size * sum(EM[count] for count in column_counts(content))


def _value(value: Attribute) -> str:
    return escape(value).replace("&#x27;", "'") if isinstance(value, str) else number(value)
