"""One more of each concept takes few files written by hand; each is added to a copy of the project and tested there."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from tests.promises import additions
from tests.promises.additions import Addition
from tests.promises.tree import Edit, Tree
from tests.sampling import sample

ADDITIONS: dict[str, Addition] = {
    module.name: import_module(f"{additions.__name__}.{module.name}").ADDITION
    for module in iter_modules(additions.__path__)
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_takes_few_files(name: str, report_figure: Callable[[str], None]) -> None:
    by_hand = {edit.path for edit in ADDITIONS[name].edits}
    report_figure(f"a new {name} takes {len(by_hand)} files written by hand: {', '.join(sorted(by_hand))}")
    assert len(by_hand) <= ADDITIONS[name].max_files


@pytest.fixture(scope="module")
def tree_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tree]:
    """Return a function that gives the copy of the project to which something was added, made once."""
    return cache(lambda name: Tree(tmp_path_factory.mktemp(name), *ADDITIONS[name].edits))


@pytest.mark.parametrize("name", sample(ADDITIONS, "setting"))
def test_everything_else_follows_from_an_addition(name: str, tree_with: Callable[[str], Tree]) -> None:
    """Files are generated anew, and the addition does its work."""
    assert tree_with(name).generated == set(ADDITIONS[name].generated)
    tree_with(name).run("-c", ADDITIONS[name].proof)


@pytest.mark.soak
@pytest.mark.parametrize("name", ADDITIONS)
def test_the_tests_pass_with_an_addition(name: str, tree_with: Callable[[str], Tree]) -> None:
    tree_with(name).test(*ADDITIONS[name].tests)


def test_an_edit_needs_one_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a\nb\na\n")
    Edit("file", "c\n", before="b").apply(tmp_path)
    assert (tmp_path / "file").read_text() == "a\nc\nb\na\n"
    for edit in (Edit("file", "c\n", before="a"), Edit("file", "c\n", before="d"), Edit("file", "c\n")):
        with pytest.raises(ValueError, match="file: expected"):
            edit.apply(tmp_path)
