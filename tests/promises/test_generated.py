"""Everything that `make generate` writes is as its declarations are now."""

import pytest

from development.generate import BLOCKS, ROOT, Block, stale_files


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.path} {block.name}")
def test_a_generated_part_is_fresh(block: Block) -> None:
    text = (ROOT / block.path).read_text(encoding="utf-8")
    assert block.written_into(text) == text, "stale: run make generate"


def test_a_changed_part_is_stale_and_written_back() -> None:
    for block in BLOCKS:
        text = (ROOT / block.path).read_text(encoding="utf-8")
        first = next(line for line in block.lines() if line)
        assert text.count(f"{first}\n") == 1
        assert block.written_into(text.replace(f"{first}\n", "")) == text


def test_a_file_without_markers_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"docs/reference/settings\.md: expected the markers generated: settings and end: settings"
    ):
        next(block for block in BLOCKS if block.name == "settings").written_into("# Nothing\n")


def test_a_fresh_tree_has_no_stale_file() -> None:
    assert stale_files() == {}
