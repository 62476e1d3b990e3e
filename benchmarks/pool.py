"""Processes that are started when they are first asked for."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Context managers by name: each is entered when it is first asked for, and left with the pool."""

    def __init__(self, start: Callable[[str], AbstractContextManager[T]]) -> None:
        self._start = start
        self._stack = ExitStack()
        self.running: dict[str, T] = {}

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self._stack.close()

    def __getitem__(self, name: str) -> T:
        """Return what runs under a name; raises NotInstalled, or RuntimeError if it does not start."""
        if name not in self.running:
            self.running[name] = self._stack.enter_context(self._start(name))
        return self.running[name]
