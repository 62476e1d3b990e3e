"""Where figures are kept: a file of JSON for each benchmark, in it a document for each processor."""

import hashlib
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from attention_core import kernel_name
from benchmarks.environments import ROOT, versions

FOLDER = Path(__file__).parent / "results"

Row = dict[str, Any]
Document = dict[str, Any]
"""`machine`, what the figures depend on, and `rows` by name."""


def keep(benchmark: str, row_name: str, row: Row, machine: dict[str, str]) -> None:
    """Keep one row; rows of the same processor with other versions are dropped."""
    documents = load(benchmark)
    document = documents.pop(machine["processor"], {})
    rows = document["rows"] if document.get("machine") == machine else {}
    rows[row_name] = {**row, "date": f"{datetime.now(UTC):%Y-%m-%d}", "load_before": round(os.getloadavg()[0], 1)}
    documents[machine["processor"]] = {"machine": machine, "rows": rows}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{benchmark}.json").write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n")


def load(benchmark: str) -> dict[str, Document]:
    """Return the documents of a benchmark by processor, the one kept last at the end; none if nothing was kept."""
    file = FOLDER / f"{benchmark}.json"
    documents: dict[str, Document] = json.loads(file.read_text()) if file.exists() else {}
    return documents


def load_rows(benchmark: str, machine: dict[str, str]) -> dict[str, Row]:
    """Return the rows that were kept on this machine with these versions."""
    document = load(benchmark).get(machine["processor"], {})
    rows: dict[str, Row] = document["rows"] if document.get("machine") == machine else {}
    return rows


def describe_machine(threads: int, environments: tuple[str, ...] = (), **others: str) -> dict[str, str]:
    """Return what figures depend on: the processor, and the versions of ours and of the named environments."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads": str(threads),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "BLAS": f"{blas['name']} {blas['version']}",
        "kernel": kernel_name(),
        **others,
        **({"peers": versions(environments)} if environments else {}),
    }


def digest_of_core() -> str:
    """Return a digest of the sources of the core, which figures in its process depend on."""
    files = sorted(file for file in (ROOT / "attention_core").rglob("*") if file.suffix in (".py", ".c", ".h"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _first(path: str, field: str) -> str:
    """Return the value of a field in a file of "field : value" lines."""
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == field), platform.machine())
