"""Refuse objects with a duplicate name, of which parsers keep the last member without an error.

The members of the parsed document are counted and compared with those in the text, which is cheaper than collecting
names; only a text with a duplicate is parsed again, to name it.  Names are compared after unescaping.
"""

import json
from typing import Any

from service.codecs.json.native import count_structure
from service.errors import DuplicateName, Location

COLON = b":"

MAX_SEARCHES = 32
"""Maximum colons that are searched for one by one."""


class Members(list[tuple[str, Any]]):
    """All members of an object, duplicates included."""


def require_distinct(text: bytes, kept: int) -> None:
    """Raise DuplicateName where a name comes twice in an object of the valid JSON `text`.

    :param kept: members of all objects of the parsed document, or fewer, which takes longer.
    """
    # In most texts no string contains a colon, and every colon stands behind a name.
    if _has_colons(text, kept) or count_structure(text).names == kept:
        return
    duplicate = _first_duplicate(text)
    if duplicate is not None:
        raise DuplicateName(duplicate)


def _has_colons(text: bytes, number: int) -> bool:
    """Return whether a text has this number of colons; few are found faster than `bytes.count` counts them."""
    if number > MAX_SEARCHES:
        return text.count(COLON) == number
    place = -1
    for _ in range(number):
        place = text.find(COLON, place + 1)
        if place < 0:
            return False
    return text.find(COLON, place + 1) < 0


def count_members(document: Any, levels: int = 8) -> int:
    """Return the number of members of all objects of a parsed document, or fewer.

    Counted are objects in objects, and in lists that begin with an object, `levels` deep at most.
    """
    if type(document) is not dict:
        return 0
    count = len(document)
    if levels:
        for member in document.values():
            if type(member) is dict:
                count += count_members(member, levels - 1)
            elif type(member) is list and member and type(member[0]) is dict:
                for item in member:
                    count += count_members(item, levels - 1)
    return count


def _first_duplicate(text: bytes) -> Location | None:
    """Return the path to the first member whose name another in the same object has before it, or None."""
    # Numbers stay text: some are longer than Python converts.
    document = json.loads(text, object_pairs_hook=Members, parse_int=str, parse_float=str)
    waiting: list[tuple[Location, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        steps = value if isinstance(value, Members) else enumerate(value)
        if isinstance(value, Members):
            seen = set()
            for name, _ in value:
                if name in seen:
                    return (*path, name)
                seen.add(name)
        waiting += [((*path, step), item) for step, item in steps if isinstance(item, list)][::-1]
    return None
