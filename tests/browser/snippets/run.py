"""Run programs that the page has written, and print the tensors that each leaves behind as JSON.

A program of the client leaves a result that has them.

``python run.py`` reads a JSON object of programs by name from standard input, and runs in any environment.
"""

import contextlib
import io
import json
import sys
import traceback

NAMES = ("scores", "weights", "output")


def results_of(code):
    """Return the tensors of one program as nested lists, or the error that it ended with."""
    namespace = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "<copied>", "exec"), namespace)
        arrays = namespace["result"].arrays if "result" in namespace else namespace
        found = {name: lists_of(arrays[name]) for name in NAMES if name in arrays}
    except Exception:  # noqa: BLE001
        return {"error": traceback.format_exc(limit=-3)}
    return {**found, "printed": len(printed.getvalue())}


def lists_of(tensor):
    """Return a tensor of NumPy, PyTorch or Keras as nested lists."""
    return (tensor.numpy() if hasattr(tensor, "numpy") else tensor).tolist()


if __name__ == "__main__":
    json.dump({name: results_of(code) for name, code in json.load(sys.stdin).items()}, sys.stdout)
