"""JSON Merge Patch (RFC 7386), with a rule for objects that have a name, and one for those that have a formula."""

from collections.abc import Mapping
from typing import Any

from attention_wire.documents import expand_name


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with the patch applied: null removes a member, an object is merged, all else replaces.

    An object whose `name` the patch changes is replaced: parameters of one score model mean nothing to another.  A bare
    name stands for the object of that name.  Where the patch changes a `formula`, its `parameters` replace the old ones
    for the same reason, and the other members are merged.
    """
    if not isinstance(patch, dict):
        return patch
    target = expand_name(target)
    if not isinstance(target, dict) or ("name" in patch and renames(target, patch["name"])):
        target = {}
    merged = dict(target)
    if "formula" in patch and not _same_text(target.get("formula"), patch["formula"]):
        merged.pop("parameters", None)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def renames(target: Mapping[str, Any], name: Any) -> bool:
    """Return whether an object has another name, so that its members do not apply; only a string is a name."""
    if "name" not in target:
        return False
    return not _same_text(target["name"], name)


def _same_text(old: Any, new: Any) -> bool:
    return isinstance(old, str) and isinstance(new, str) and old == new
