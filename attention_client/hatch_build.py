"""Collects the wheel of the client: its own modules, and those of `attention_wire` as `attention_client.wire`.

The wheel of the service holds `attention_wire` under its own name.  If two wheels owned the same files, removing one
would break the other, so the client's has a copy under a name of its own, and imports that one.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED = re.compile(r"\battention_wire\b")


class ClientModules(BuildHookInterface[Any]):
    """Writes the modules of the wheel, and the data beside them, into a temporary directory."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the modules to the wheel; an editable installation imports those of the checkout."""
        if version == "editable":
            return
        client = Path(self.root)
        shared = client.parent / "attention_wire"
        if not shared.is_dir():
            raise FileNotFoundError(f"expected {shared} beside the client; build the wheel in a checkout")
        self.modules = tempfile.TemporaryDirectory()
        for folder, package in ((client, "attention_client"), (shared, "attention_client/wire")):
            target = Path(self.modules.name, package)
            target.mkdir()
            for source in (*folder.glob("*.py"), *folder.glob("*.json"), folder / "py.typed"):
                if source.name != Path(__file__).name:
                    target.joinpath(source.name).write_text(
                        SHARED.sub("attention_client.wire", source.read_text("utf-8")), "utf-8"
                    )
        build_data["force_include"][str(Path(self.modules.name, "attention_client"))] = "attention_client"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary directory."""
        if version != "editable":
            self.modules.cleanup()
