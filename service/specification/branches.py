"""Titles of the members of unions, without which Swagger UI calls them by their number."""

from typing import Any

UNIONS = ("anyOf", "oneOf")

SCALARS = {"null": "none", "number": "number", "integer": "integer", "boolean": "boolean", "string": "text"}
"""Titles of types without structure."""

ELEMENTS = {"number": "numbers", "integer": "integers", "boolean": "booleans", "string": "texts"}
"""What lists of a type hold."""

SHAPES = ("", "list", "matrix")
"""Names of ranks 1 and 2."""


def name_branches(node: Any) -> Any:
    """Return a document in which the members of unions have titles; that of a reference is its component's name.

    Members without one are enumerations, objects and choices: generators name classes after their titles, and make one
    class of two with the same title. The page of Swagger UI names those.
    """
    if isinstance(node, list):
        return [name_branches(part) for part in node]
    if not isinstance(node, dict):
        return node
    parts = {name: name_branches(part) for name, part in node.items()}
    for union in UNIONS:
        if isinstance(parts.get(union), list):
            parts[union] = [_titled(branch) for branch in parts[union]]
    return parts


def _titled(branch: dict[str, Any]) -> dict[str, Any]:
    if branch.keys() & {"$ref", "title", "enum", "oneOf"} or branch.get("type") == "object":
        return branch
    return {"title": title_of(branch), **branch}


def title_of(branch: dict[str, Any]) -> str:
    """Return what a number, a text, null or a list is, in a few words."""
    if branch["type"] == "array":
        return _title_of_array(branch)
    return "name" if "pattern" in branch else SCALARS[branch["type"]]


def _title_of_array(branch: dict[str, Any]) -> str:
    rank, items = 0, branch
    while items.get("type") == "array":
        rank, items = rank + 1, items["items"]
    component = items.get("$ref", "").rpartition("/")[2]
    held = component or ELEMENTS.get(items.get("type", ""), "values")
    if rank < len(SHAPES):
        return f"{SHAPES[rank]} of {held}"
    return f"{held} of rank {rank}{'' if items else ' or more'}"
