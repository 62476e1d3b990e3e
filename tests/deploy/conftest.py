"""An environment without settings."""

from tests.promises.conftest import no_settings

__all__ = ["no_settings"]
