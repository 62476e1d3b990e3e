"""Write ``deploy/kubernetes/attention-service.yaml``, the Helm chart rendered with its default values.

``python -m development.manifests HELM`` renders it with that program.  Its first lines have the digest of the chart
that it was made from, so that a test finds a stale one without helm.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "attention-service"
MANIFESTS = ROOT / "deploy" / "kubernetes" / "attention-service.yaml"
RELEASE = "attention-service"

OF_HELM = re.compile(r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", re.MULTILINE)
"""Labels that would say of objects which Helm does not know that it manages them."""

HEAD = """\
# Made from deploy/helm/attention-service with its default values, by `make manifests`.
# docker build --tag attention-service:1.0.0 . and then kubectl apply --filename of this file.
# SHA-256 of the chart: {digest}
"""


def chart_digest() -> str:
    """Return the SHA-256 of the names and contents of the files of the chart that decide the manifests."""
    digest = hashlib.sha256()
    for name, content in _files():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def rendered(helm: Path) -> str:
    """Return the text of the manifests as helm renders them now; raise CalledProcessError where it fails."""
    command = [str(helm), "template", RELEASE, str(CHART), "--skip-tests"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return HEAD.format(digest=chart_digest()) + OF_HELM.sub("", ended.stdout)


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents: templates as they are, and values without comments, which every new setting changes."""
    yield "Chart.yaml", (CHART / "Chart.yaml").read_bytes()
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    yield "values.yaml", json.dumps(values, sort_keys=True).encode()
    for path in sorted((CHART / "templates").glob("*.*")):
        yield path.name, path.read_bytes()


def main(arguments: list[str]) -> int:
    """Write the manifests with the named helm; return the exit code."""
    MANIFESTS.write_text(rendered(Path(arguments[0])), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
