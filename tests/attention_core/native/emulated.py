"""A kernel for another processor, in an emulator: each call's memory goes there, and comes back."""

import ctypes
import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import hatch_build
from attention_core.native import Kernel, available_kernels
from attention_core.native.library import CALL_FIELDS

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
TILE_ROWS, SPAN, KEY_BLOCK = 12, 2048, 192
FIELDS = list(CALL_FIELDS)
RESULTS = {
    *("output", "maximum", "logsumexp", "scores", "capped_scores", "logits", "weights", "unsafe"),
    *("ranked_keys", "ranked_weights", "ranked_counts"),
}
ALIGNMENT = 64


def build(folder):
    """The driver for aarch64, compiled."""
    built = folder / "driver"
    sources = Path(__file__).parent / "driver.c"
    options = [one for one in hatch_build.KERNEL_COMMON if one not in ("-shared", "-fPIC")]
    command = [COMPILER, *options, "-static", "-Wall", "-Wextra", "-Werror", f"-I{hatch_build.KERNEL_SOURCES}"]
    subprocess.run([*command, str(sources), "-o", str(built), "-lm"], check=True)
    return built


def at(address, count):
    """Integers at an address."""
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_int64)), (count,))


def lengths(call, item):
    """How many bytes each pointer of a call points to."""
    matrices, queries, keys, features, width = (
        call[name] for name in ("n_matrices", "n_queries", "n_keys", "n_features", "n_value_features")
    )
    rows, spans = matrices * queries, -(-keys // SPAN)

    def part(name, length, size=item, starts=None):
        return size * (int(at(call[starts or f"{name}_at"], matrices).max()) + length) if call[name] else 0

    def pairs(name, size=item):
        return part(
            name, (queries - 1) * call[f"{name}_row_stride"] + (keys - 1) * call[f"{name}_key_stride"] + 1, size
        )

    found = {
        "query": part("query", (queries - 1) * call["query_stride"] + features),
        "key": part("key", (keys - 1) * call["key_stride"] + features, 2 if call["key_storage"] else item),
        "value": part("value", (keys - 1) * call["value_stride"] + width, 2 if call["value_storage"] else item)
        if call["output"]
        else 0,
        "query_terms": part("query_terms", queries),
        "key_terms": part("key_terms", keys),
        "score_vector": part("score_vector", features),
        "bias": pairs("bias"),
        "allowed": pairs("allowed", 1),
        "first_key": part("first_key", queries, 8, "range_at"),
        "end_key": part("end_key", queries, 8, "range_at"),
        "query_position": part("query_position", queries, 8),
        "key_position": part("key_position", keys, 8),
        "output": rows * width * item,
        "maximum": rows * item,
        "logsumexp": rows * item,
        "unsafe": rows,
        "ranked_keys": rows * call["n_ranked"] * 8,
        "ranked_weights": rows * call["n_ranked"] * item,
        "ranked_counts": rows * 8,
        "partial_output": spans * rows * width * item,
        "partial_state": spans * rows * 4 * item,
    }
    found |= dict.fromkeys(("scores", "capped_scores", "logits", "weights"), rows * keys * item)
    places = ("query_at", "key_at", "value_at", "query_terms_at", "key_terms_at", "score_vector_at", "bias_at")
    positions = ("slopes", "query_position_at", "key_position_at")
    others = ("range_at", "allowed_at", "scale", "temperature", "sink")
    return found | dict.fromkeys((*places, *positions, *others), matrices * 8)


class Driver:
    """The emulated process; one call at a time."""

    def __init__(self, program):
        self._process = subprocess.Popen([EMULATOR, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self.calls = 0

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(10) == 0
        self._process.stdout.close()

    def run(self, kind, address):
        """Run all tasks of a call, unless another thread did."""
        with self._lock:
            fields = at(address, len(FIELDS))
            call = dict(zip(FIELDS, fields.tolist(), strict=True))
            if call["next_task"] < call["n_tasks"]:
                self._run(kind, fields, call)

    def _run(self, kind, fields, call):
        self.calls += 1
        sizes = {name: size for name, size in lengths(call, kind(0).itemsize).items() if call[name]}
        ends = list(
            itertools.accumulate(-(-size // ALIGNMENT) * ALIGNMENT for size in (fields.nbytes, *sizes.values()))
        )
        memory = np.zeros(ends[-1], np.uint8)
        sent = fields.copy()
        for name, begin in zip(sizes, ends, strict=False):
            sent[FIELDS.index(name)] = begin
            memory[begin : begin + sizes[name]] = np.frombuffer(ctypes.string_at(call[name], sizes[name]), np.uint8)
        memory[: sent.nbytes] = sent.view(np.uint8)
        head = np.array([kind is np.float64, memory.nbytes, len(sizes), 0, *map(FIELDS.index, sizes)], np.int64)
        self._process.stdin.write(head.tobytes() + memory.tobytes())
        self._process.stdin.flush()
        back = np.frombuffer(self._process.stdout.read(memory.nbytes), np.uint8)
        for name, begin in zip(sizes, ends, strict=False):
            if name in RESULTS:
                ctypes.memmove(call[name], back[begin:].ctypes.data, sizes[name])
        counters = [FIELDS.index(name) for name in ("next_task", "tasks_done")]
        fields[counters] = back[: fields.nbytes].view(np.int64)[counters]


@contextmanager
def emulated(program) -> Iterator[Driver]:
    """Make the kernel "aarch64" one of those that run here."""
    driver = Driver(program)
    run = {
        "f": lambda address, scratch: driver.run(np.float32, address),
        "d": lambda address, scratch: driver.run(np.float64, address),
    }
    kernels = available_kernels()[0]
    kernels["aarch64"] = Kernel("aarch64", TILE_ROWS, SPAN, KEY_BLOCK, run, dict.fromkeys("fd", lambda address: 1))
    try:
        yield driver
    finally:
        del kernels["aarch64"]
        driver.close()
