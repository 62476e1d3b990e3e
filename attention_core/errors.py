"""Everything the core raises on purpose.

::

    AttentionError
    ├── CallError              the call is wrong; ``path`` says where
    │   ├── ShapeMismatch      lengths, feature sizes or leading axes that do not fit together
    │   ├── InvalidValue       a value outside its domain
    │   └── UnknownName        a name that is not registered
    └── Stopped                ``should_stop`` answered True; nothing was computed to the end
"""

from collections.abc import Iterable
from difflib import get_close_matches

Path = tuple[str | int, ...]


class AttentionError(Exception):
    """Base of every error the core raises on purpose."""


class CallError(AttentionError, ValueError):
    """The call is wrong: what was expected, what came, what to change.

    ``path`` names the argument and, inside it, the first offending element: ``("mask", "allowed", 0, 3)``.
    """

    def __init__(self, path: Path, *, expected: str, received: str, advice: str) -> None:
        self.path = path
        self.expected = expected
        self.received = received
        self.advice = advice
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.argument}: {self.detail}"

    @property
    def argument(self) -> str:
        """The path as a person writes it: ``mask.allowed[0][3]``."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")

    @property
    def detail(self) -> str:
        """Expected, received, advice, as one sentence each."""
        return f"expected {self.expected}; received {self.received}. {self.advice}"


class ShapeMismatch(CallError):
    """Lengths, feature sizes or leading axes that do not fit together."""


class InvalidValue(CallError):
    """A value outside its domain."""


class UnknownName(CallError):
    """A name that is not registered; the advice suggests the nearest one that is."""

    def __init__(self, path: Path, *, kind: str, received: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(
            path,
            expected=f"{kind}, one of {', '.join(known)}",
            received=repr(received),
            advice=did_you_mean(received, known) or "Use one of these names.",
        )


class Stopped(AttentionError):
    """``should_stop`` answered True."""


def did_you_mean(received: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known name, or an empty string when none is near."""
    nearest = get_close_matches(received.lower(), list(known), n=1, cutoff=0.5)
    return f"Did you mean '{nearest[0]}'?" if nearest else ""
