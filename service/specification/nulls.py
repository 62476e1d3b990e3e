"""FastAPI drops null from the examples it writes, where null means something; a placeholder stands for it."""

from typing import Any

NULL = "\ufdd0null"
"""No text has this character, which Unicode reserves for inner use."""


def guarded(example: Any) -> Any:
    """Return an example with the placeholder for null."""
    return _replaced(example, None, NULL)


def restored(document: Any) -> Any:
    """Return a document with null for the placeholder."""
    return _replaced(document, NULL, None)


def _replaced(node: Any, old: str | None, new: str | None) -> Any:
    if isinstance(node, dict):
        return {name: _replaced(value, old, new) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(item, old, new) for item in node]
    return new if isinstance(node, str | None) and node == old else node
