"""The browser of the browser tests, for what the READMEs say of the playground."""

from tests.browser.conftest import browser, visit

__all__ = ["browser", "visit"]
