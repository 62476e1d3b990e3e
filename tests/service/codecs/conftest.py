"""What the tests of the codecs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.codecs.json.native import library
from tests.service.codecs.libraries import BUILDS


@pytest.fixture(scope="session")
def built_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the libraries that tests compile."""
    return tmp_path_factory.mktemp("libraries")


@pytest.fixture(params=BUILDS)
def each_library(request: pytest.FixtureRequest, built_libraries: Path) -> Iterator[None]:
    """Read and write with one compiled library after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "_library", library.open_library(str(request.param.path(built_libraries))))
        yield
