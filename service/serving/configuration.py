"""What all connections of a server share: options, settings, and whether it drains."""

from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.settings import Settings


class Configuration(Config):
    """Options of uvicorn, and the settings of the service."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        # Without a protocol for WebSockets uvicorn takes no request to upgrade for one.
        super().__init__("service.main:create_app", factory=True, ws="none", **options)
        self.settings = settings


class State(ServerState):
    """State that all connections of a server share."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False
