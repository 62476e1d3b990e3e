"""Collects the wheel of the client: its own modules, and copies of the shared packages under names of its own.

`attention_wire` is `attention_client.wire` there, `attention_heat_map` is `attention_client.heat_map`.  The wheels of
the service and the core hold these packages under their own names.  If two wheels owned the same files, removing one
would break the other; `docs/adr/0011-distributions.md` has the alternatives.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COPIES = {"attention_wire": "wire", "attention_heat_map": "heat_map"}
"""Shared packages, and the subpackages of the wheel that hold their modules."""

SHARED = re.compile(rf"\b({'|'.join(COPIES)})\b")


class ClientModules(BuildHookInterface[Any]):
    """Writes the modules of the wheel, and the data beside them, into a temporary directory."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the modules to the wheel; an editable installation imports those of the checkout."""
        if version == "editable":
            return
        client = Path(self.root)
        folders = {client: Path(), **{_shared(client, name): Path(copy) for name, copy in COPIES.items()}}
        self.modules = tempfile.TemporaryDirectory()
        for folder, package in folders.items():
            target = Path(self.modules.name, "attention_client", package)
            target.mkdir()
            for source in (*folder.glob("*.py"), *folder.glob("*.json"), folder / "py.typed"):
                if source.name != Path(__file__).name:
                    target.joinpath(source.name).write_text(_renamed(source.read_text("utf-8")), "utf-8")
        build_data["force_include"][str(Path(self.modules.name, "attention_client"))] = "attention_client"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary directory."""
        if version != "editable":
            self.modules.cleanup()


def _shared(client: Path, name: str) -> Path:
    """Return the folder of a shared package: inside of a source distribution, or beside the client in a checkout."""
    places = (client / name, client.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"expected {places[1]} beside the client; build the wheel in a checkout")


def _renamed(source: str) -> str:
    return SHARED.sub(lambda found: f"attention_client.{COPIES[found[1]]}", source)
