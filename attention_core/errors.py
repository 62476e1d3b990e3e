"""Errors that the core raises on purpose.

::

    AttentionError
    ├── CallError              the call is wrong; ``path`` says where
    │   ├── ShapeMismatch      lengths, feature sizes or leading axes that do not fit together
    │   ├── InvalidValue       a value outside its domain
    │   └── UnknownName        a name that is not registered
    └── Stopped                ``should_stop`` returned True; there is no result
"""

from collections.abc import Iterable

from attention_core.hints import Kind, Write, advise, as_python, fill_places

ArgumentPath = tuple[str | int, ...]

MAX_ECHOED = 60
"""Maximum characters of a text of the caller that an error repeats."""


def echo(text: str) -> str:
    """Return a text of the caller as an error repeats it: quoted, and cut after `MAX_ECHOED` characters."""
    return repr(text) if len(text) <= MAX_ECHOED else repr(f"{text[:MAX_ECHOED]}…")


class AttentionError(Exception):
    """Base of all errors that the core raises on purpose."""


class CallError(AttentionError, ValueError):
    """A wrong call: the expected and the received value, and advice on what to change.

    ``path`` names the argument and, inside it, the first offending element: ``("mask", "allowed", 0, 3)``.  `expected`
    and `advice` name other arguments as places in braces, as in `attention_core.hints`: ``{heads}``.
    """

    def __init__(self, path: ArgumentPath, *, expected: str, received: str, advice: str) -> None:
        self.path = path
        self.expected = expected
        self.received = received
        self.advice = advice
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.argument}: {self.detail}"

    @property
    def argument(self) -> str:
        """The path as it is written in Python: ``mask.allowed[0][3]``."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")

    @property
    def detail(self) -> str:
        """Expected, received and advice, one sentence each, for a caller in Python."""
        return self.write_detail(as_python)

    def write_detail(self, write: Write) -> str:
        """Return expected, received and advice, one sentence each, with places as `write` spells them."""
        expected, advice = fill_places(self.expected, write), fill_places(self.advice, write)
        return f"expected {expected}; received {self.received}. {advice}"


class ShapeMismatch(CallError):
    """Lengths, feature sizes or leading axes that do not fit together."""


class InvalidValue(CallError):
    """A value outside its domain."""


class UnknownName(CallError):
    """A name that is not registered; the advice says what it is called here, see `attention_core.hints`.

    :param expected: the kind of thing, such as "a dtype".
    :param kind: the same for the table of hints.
    :param known: every name that is registered.
    """

    def __init__(self, path: ArgumentPath, *, expected: str, kind: Kind, received: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(
            path,
            expected=f"{expected}, one of {', '.join(known)}",
            received=echo(received),
            advice=advise(received, known, kind=kind, write=_write_value) or "Use one of these names.",
        )


def _write_value(place: str, value: str | None) -> str:
    """Return the value alone: the error's path names the argument already."""
    return place if value is None else repr(value)


class Stopped(AttentionError):
    """``should_stop`` returned True: the call was cancelled and has no result."""
