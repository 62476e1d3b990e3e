"""JSON Merge Patch (RFC 7386), with one rule more for objects that are told apart by name."""

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with the patch applied: null removes a member, an object is merged, all else replaces.

    An object whose `name` the patch changes is replaced: parameters of one score model mean nothing to another.  A bare
    name stands for the object of that name.
    """
    if not isinstance(patch, dict):
        return patch
    if isinstance(target, str):
        target = {"name": target}
    if not isinstance(target, dict) or _renames(target, patch):
        target = {}
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _renames(target: dict[str, Any], patch: dict[str, Any]) -> bool:
    """Whether the object is called otherwise afterwards; what is no string is no name, whatever it is."""
    if "name" not in patch or "name" not in target:
        return False
    old, new = target["name"], patch["name"]
    return not (isinstance(old, str) and isinstance(new, str) and old == new)
