"""Where figures are kept, with the machine that they come from: one file of JSON for each benchmark."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "results"

Row = dict[str, Any]


def keep(name: str, row_name: str, row: Row, machine: dict[str, str]) -> None:
    """Keep one row; rows of another machine, or of other versions, are dropped."""
    before = load(name) if (FOLDER / f"{name}.json").exists() else {}
    rows = before["rows"] if before.get("machine") == machine else {}
    now = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "load_before": round(os.getloadavg()[0], 1)}
    rows[row_name] = {**row, **now}
    FOLDER.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": rows}
    (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def load(name: str) -> dict[str, Any]:
    """Return the machine and the rows of one benchmark."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def machine(threads: int, peer: str | None = None) -> dict[str, str]:
    """Say what the figures depend on."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    description = {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads": str(threads),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "BLAS": f"{blas['name']} {blas['version']}",
    }
    if peer is not None:
        command = [peer, "-W", "ignore", "-c", "import torch; print(torch.__version__)"]
        description["PyTorch"] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return description


def _first(path: str, field: str) -> str:
    """Return the value of a field in a file of "field : value" lines."""
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == field), platform.machine())
