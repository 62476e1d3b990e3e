"""JSON Merge Patch: the examples of RFC 7386, and the rule about names."""

import numpy as np
import pytest

from service.codecs.merge_patch import merge_patch

APPENDIX_A = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""Target, patch and result: every example of the RFC's appendix A."""

NAMED = [
    ("another name replaces", {"name": "a", "p": 1}, {"name": "b"}, {"name": "b"}),
    ("another name, its own parameters", {"name": "a", "p": 1}, {"name": "b", "q": 2}, {"name": "b", "q": 2}),
    ("the same name merges", {"name": "a", "p": 1}, {"name": "a", "q": 2}, {"name": "a", "p": 1, "q": 2}),
    ("no name merges", {"name": "a", "p": 1}, {"p": 2}, {"name": "a", "p": 2}),
    ("null removes a parameter", {"name": "a", "p": 1}, {"p": None}, {"name": "a"}),
    ("a name where there was none", {"p": 1}, {"name": "a"}, {"p": 1, "name": "a"}),
    ("a bare name keeps it", "a", {"p": 1}, {"name": "a", "p": 1}),
    ("a bare name, the same", "a", {"name": "a", "p": 1}, {"name": "a", "p": 1}),
    ("a bare name, another", "a", {"name": "b", "p": 1}, {"name": "b", "p": 1}),
    ("by a bare name", {"name": "a", "p": 1}, "b", "b"),
    ("no number is a name", 1, {"p": 1}, {"p": 1}),
]


@pytest.mark.parametrize(("target", "patch", "result"), APPENDIX_A)
def test_the_examples_of_the_rfc(target, patch, result):
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(("target", "patch", "result"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED])
def test_a_name_decides_what_is_merged(target, patch, result):
    assert merge_patch(target, patch) == result
    assert merge_patch({"model": target}, {"model": patch}) == {"model": result}


def test_nothing_is_changed_in_place():
    target, patch = {"a": {"b": 1}, "c": 2}, {"a": {"b": 2, "d": None}, "c": None}
    merge_patch(target, patch)
    assert (target, patch) == ({"a": {"b": 1}, "c": 2}, {"a": {"b": 2, "d": None}, "c": None})


def test_arrays_are_replaced_and_shared():
    kept, replaced, new = np.zeros(2), np.ones(2), np.full(3, 2.0)
    merged = merge_patch({"a": kept, "b": replaced}, {"b": new})
    assert merged["a"] is kept
    assert merged["b"] is new


def test_an_array_is_no_name():
    assert merge_patch({"name": "cosine", "scale": 2}, {"name": np.ones((2, 2))}).keys() == {"name"}
    assert merge_patch({"name": np.ones(2), "scale": 2}, {"name": np.ones(2)}).keys() == {"name"}
