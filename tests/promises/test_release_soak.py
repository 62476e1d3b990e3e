"""`make release`: what it leaves was installed and asked, and a wrong file stops it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from development import release

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("released") / "dist"
    release.release(directory)
    return directory


def test_it_leaves_every_distribution_twice_and_the_bill_of_materials(released: Path, project: Path) -> None:
    names = {path.name for path in released.iterdir()}
    for name in ("attention_core", "attention_service", "attention_client"):
        assert len([one for one in names if one.startswith(f"{name}-") and one.endswith((".whl", ".tar.gz"))]) == 2
    [bill] = released.glob("*.cdx.json")
    assert json.loads(bill.read_text()) == json.loads((project / "requirements" / "service.cdx.json").read_text())
    sums = dict(reversed(line.split("  ")) for line in (released / "SHA256SUMS").read_text().splitlines())
    assert sums.keys() == names - {"SHA256SUMS"}
    assert all(hashlib.sha256((released / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())


def test_an_earlier_release_is_not_overwritten(released: Path) -> None:
    with pytest.raises(release.ReleaseError, match="expected an empty directory"):
        release.release(released)


def test_a_missing_wheel_is_noticed(released: Path, tmp_path: Path) -> None:
    for file in released.iterdir():
        if not file.name.startswith("attention_core"):
            shutil.copy(file, tmp_path)
    with pytest.raises(release.ReleaseError, match="attention-core: expected one wheel and one source distribution"):
        release.check_files(tmp_path)
