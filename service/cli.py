"""attention-service serve | openapi."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

SERVE_OPTIONS = ("host", "port", "workers", "root_path")
"""Settings that are common enough to be flags as well; the others are environment variables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    command = {"serve": _serve, "openapi": _openapi}[options.command]
    try:
        return command(options)
    except ValidationError as error:
        print(_explain(error), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="attention-service", description="Attention as a service.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve over HTTP",
        description="Serve over HTTP. Every other setting is an environment variable ATTENTION_…; see the README.",
    )
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 8000)")
    serve.add_argument("--workers", type=int, help="processes that serve (default 1)")
    serve.add_argument("--root-path", help="path prefix under which a proxy publishes the service, such as /attention")
    commands.add_parser("openapi", help="print the OpenAPI document")
    return parser


def _serve(options: argparse.Namespace) -> int:
    # Until the server has its own handlers.  The first process of a container has no default ones, so that a stop in
    # the first moments, while modules load, would be lost and end in a kill.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    # Worker processes read the environment too, so this is how flags reach them all.
    for name in SERVE_OPTIONS:
        if getattr(options, name) is not None:
            os.environ[f"ATTENTION_{name.upper()}"] = str(getattr(options, name))
    # One BLAS thread per compute thread: the compute threads are what shares the cores.  NumPy reads this at import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from service.server import serve
    from service.settings import Settings

    serve(Settings())
    return 0


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _openapi(_: argparse.Namespace) -> int:
    from service.main import create_app
    from service.settings import Settings
    from service.specification import build

    json.dump(build(create_app(Settings())), sys.stdout, ensure_ascii=False, indent=2)
    print()
    return 0


def _explain(error: ValidationError) -> str:
    """Say which setting is wrong, one line each."""
    return "\n".join(
        f"attention-service: ATTENTION_{str(detail['loc'][0]).upper()}: {detail['msg']}; received {detail['input']!r}"
        for detail in error.errors(include_url=False)
    )


if __name__ == "__main__":
    sys.exit(main())
