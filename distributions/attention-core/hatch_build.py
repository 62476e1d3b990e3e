"""Collects the wheel and the source distribution of the core, and compiles its kernels.

The packages lie in the checkout, two folders above; a source distribution holds them, and the code that compiles,
beside this file.
"""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("attention_core", "attention_heat_map")

KERNELS = Path("attention_core", "native")

COMPILING = "compiling.py"
"""Name of the checkout's `hatch_build.py` in a source distribution."""

NOT_SOURCES = (".so", ".pyc")
FAILURES = "failures.txt"


class CoreModules(BuildHookInterface[Any]):
    """Adds both packages, and to a wheel the kernels of this machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add every file; compile first, mark the wheel as one for this platform, and warn about missing kernels."""
        root = Path(self.root)
        is_unpacked = root.joinpath(COMPILING).is_file()
        sources = root if is_unpacked else root.parents[1]
        compiling = root / COMPILING if is_unpacked else sources / "hatch_build.py"
        is_source = self.target_name == "sdist"
        if is_source:
            build_data["force_include"][str(compiling)] = COMPILING
        else:
            for failure in _compiler(compiling)(sources / KERNELS):
                self.app.display_warning(f"attention will be computed more slowly: {failure}")
            if any(sources.joinpath(KERNELS).glob("*.so")):
                build_data["pure_python"] = False
                build_data["infer_tag"] = True
        # An editable installation imports the packages of the checkout.
        for package in PACKAGES if version != "editable" else ():
            for file in sorted(sources.joinpath(package).rglob("*")):
                is_built = file.suffix in NOT_SOURCES or file.name == FAILURES
                if file.is_file() and file.suffix != ".pyc" and not (is_source and is_built):
                    build_data["force_include"][str(file)] = file.relative_to(sources).as_posix()


def _compiler(path: Path) -> Callable[[Path], list[str]]:
    """Return the function that compiles the kernels in a folder and returns the reasons for missing ones."""
    spec = spec_from_file_location("attention_compiling", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"expected {path}, which compiles the kernels; build the wheel in a checkout")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    compile_kernels: Callable[[Path], list[str]] = module.compile_kernels
    return compile_kernels
