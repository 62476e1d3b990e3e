"""The browser of the browser tests, for what the pages say of the playground, and an environment without settings."""

import os

import pytest

from service.environment import PLATFORM_VARIABLES
from tests.browser.conftest import browser, open_page

__all__ = ["browser", "no_settings", "open_page"]


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may have settings of its own, and `serve` hands its flags on as variables."""
    names = {name for name in os.environ if not name.upper().startswith("ATTENTION_")} - {*PLATFORM_VARIABLES.values()}
    monkeypatch.setattr(os, "environ", {name: os.environ[name] for name in names})
