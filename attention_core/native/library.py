"""The compiled kernels: which there are, which this processor runs, and which is used.

`hatch_build.py` compiles `kernel.c` once for each instruction set when the project is installed.  Where nothing was
compiled, NumPy computes everything.
"""

import ctypes
import os
import re
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from attention_core.errors import InvalidValue

FOLDER = Path(__file__).parent

FAILURES = FOLDER / "failures.txt"
"""Messages of `hatch_build.py` about libraries that it could not compile."""

FEATURES = "features.so"
"""Library that says which kernels the processor runs."""

KERNELS = {1: ("aarch64",), 2: ("v2",), 3: ("v3", "v2"), 4: ("v4", "v3", "v2")}
"""Kernels that a processor runs, best first, by what `attention_widest_kernel` returns."""

AUTO, NUMPY = "auto", "numpy"

KERNEL_CHOICES = (AUTO, NUMPY, "v2", "v3", "v4", "aarch64")
"""Values of ATTENTION_KERNEL: the best kernel, none, or one by name."""

Run = Callable[[int, int], None]
"""Evaluates tasks of a call until none is left: addresses of the call and of scratch memory."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One compiled kernel."""

    name: str
    """Its instruction set: "v2", "v3" and "v4" for x86-64, "aarch64"."""
    tile_rows: int
    """Rows of a tile."""
    span: int
    """Keys of a span."""
    key_block: int
    """Keys of a block of the backward pass."""
    run: dict[str, Run]
    """By type character, "f" or "d"."""
    scratch_size: dict[str, Callable[[int], int]]
    """Function of a call's address: bytes of scratch memory for each thread, by type character."""


_HEADER = re.sub(r"/\*.*?\*/", "", (FOLDER / "call.h").read_text(encoding="utf-8"), flags=re.DOTALL)
"""`call.h` without comments."""

CONSTANTS = {name.lower(): int(value) for name, value in re.findall(r"([A-Z_]+) = (\d+)", _HEADER)}
"""Values of `enum score` and `enum normalizer`, by their names in lower case."""


def _read_fields(name: str) -> dict[str, float]:
    """Return the fields of a struct of `call.h` in their order, 0.0 for a double and 0 for an integer or a pointer."""
    body = _HEADER.partition(f"struct {name} {{")[2].partition("};")[0]
    declarations = re.findall(r"(?:const )?(\w+) ([^;]+);", body)
    return {
        name.strip(" *\n"): 0.0 if kind == "double" and "*" not in name else 0
        for kind, names in declarations
        for name in names.split(",")
    }


CALL_FIELDS = _read_fields("call")
"""Fields of `struct call` with the values that mean absence; copy it and fill values in."""

GRADIENT_FIELDS = _read_fields("gradients")
"""Fields of `struct gradients` with the values that mean absence: integers and pointers alone."""

DOMINANT_INTEGERS = len(_read_fields("dominant"))
"""Size of a `struct dominant`, in units of eight bytes."""

_PACKED = struct.Struct("=" + "".join("d" if isinstance(value, float) else "q" for value in CALL_FIELDS.values()))

FIELD_INDEX = {name: index for index, name in enumerate(CALL_FIELDS)}
"""Where each field is, in units of eight bytes."""


def pack_call(fields: dict[str, float]) -> "array[int]":
    """Return a `struct call` as integers of eight bytes.

    :param fields: a copy of `CALL_FIELDS` with values filled in; pointers as addresses.
    """
    return array("q", _PACKED.pack(*fields.values()))


def address_of(numbers: NDArray[Any]) -> int:
    """Return the address of an array's first element."""
    flags = numbers.flags
    if flags.c_contiguous and flags.writeable and numbers.size:
        # A quarter of the time of the other way (benchmarks/RESULTS.md, "a plan for each form of a call").
        return ctypes.addressof(ctypes.c_char.from_buffer(numbers.data))
    address: int = numbers.__array_interface__["data"][0]
    return address


def open_kernel(name: str, path: Path) -> Kernel:
    """Return a kernel from its library; raise OSError if there is none, or one of another version."""
    library = ctypes.CDLL(str(path))
    if library.attention_call_size() != _PACKED.size or library.attention_gradients_size() != 8 * len(GRADIENT_FIELDS):
        raise OSError(f"{path.name} was compiled from another version; install the project again")
    run: dict[str, Run] = {}
    scratch_size: dict[str, Callable[[int], int]] = {}
    for kind, real in (("f", "float"), ("d", "double")):
        function, size = getattr(library, f"attention_{real}"), getattr(library, f"attention_{real}_scratch")
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p], None
        size.argtypes, size.restype = [ctypes.c_void_p], ctypes.c_int64
        run[kind], scratch_size[kind] = function, size
    sizes = library.attention_tile_rows(), library.attention_span(), library.attention_key_block()
    return Kernel(name, *sizes, run, scratch_size)


def available_kernels() -> tuple[dict[str, Kernel], str]:
    """Return the kernels that were compiled and that this processor runs, best first, and why others are missing.

    The text is empty if none is missing.  Raises nothing: a kernel that cannot be loaded is a missing one.
    """
    return _load_kernels()


@lru_cache(maxsize=1)
def _load_kernels() -> tuple[dict[str, Kernel], str]:
    try:
        features = ctypes.CDLL(str(FOLDER / FEATURES))
    except OSError as error:
        return {}, _reason(FEATURES, error)
    kernels: dict[str, Kernel] = {}
    missing: list[str] = []
    for name in KERNELS.get(features.attention_widest_kernel(), ()):
        try:
            kernels[name] = open_kernel(name, FOLDER / f"kernel-{name}.so")
        except OSError as error:
            missing.append(_reason(f"kernel-{name}.so", error))
    return kernels, "\n".join(dict.fromkeys(missing))


def _reason(name: str, error: OSError) -> str:
    """Return the message of the build about a library, or else that of the loader."""
    reported = FAILURES.read_text() if FAILURES.exists() else ""
    return reported.strip() if name in reported else f"{name}: {error}"


class _Selection:
    """The kernel of this process; None with `name` "numpy", or where nothing was compiled."""

    def __init__(self) -> None:
        self.kernel: Kernel | None = None
        self.is_made = False


_selection = _Selection()


def select_kernel(choice: str) -> Kernel | None:
    """Select the kernel of all calls of this process from now on.

    :param choice: one of `KERNEL_CHOICES`; "auto" takes the best that was compiled and that the processor runs.

    Returns the kernel; None for NumPy.

    Raises InvalidValue for another name, and for a kernel that this machine does not have.
    """
    kernels, _ = available_kernels()
    if choice == AUTO:
        chosen = next(iter(kernels.values()), None)
    elif choice == NUMPY:
        chosen = None
    elif choice in kernels:
        chosen = kernels[choice]
    else:
        raise InvalidValue(
            ("kernel",),
            expected=f"a kernel that this machine has: {', '.join((AUTO, NUMPY, *kernels))}",
            received=choice,
            advice="auto takes the fastest of them.",
        )
    _selection.kernel, _selection.is_made = chosen, True
    return chosen


def selected_kernel() -> Kernel | None:
    """Return the kernel of this process, None for NumPy: the one selected last, at first that of ATTENTION_KERNEL.

    Raises InvalidValue if the environment variable names none that this machine has.
    """
    if not _selection.is_made:
        select_kernel(os.environ.get("ATTENTION_KERNEL") or AUTO)
    return _selection.kernel


@contextmanager
def using_kernel(choice: str) -> Iterator[Kernel | None]:
    """Select a kernel until the context ends; see `select_kernel`."""
    before = selected_kernel()
    try:
        yield select_kernel(choice)
    finally:
        _selection.kernel = before


def kernel_name() -> str:
    """Return the name of the kernel of this process; "numpy" without one.

    Raises InvalidValue if the environment variable ATTENTION_KERNEL names none that this machine has.
    """
    kernel = selected_kernel()
    return NUMPY if kernel is None else kernel.name
