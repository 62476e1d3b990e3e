"""attention-service serve | openapi | attend | check."""

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

SECRETS = ("api_keys",)
"""Settings that no message repeats."""

INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except ValidationError as error:
        print(_explain(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # whoever reads has seen enough


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
    _add_offline(
        commands,
        "attend",
        "Compute one request without a server. FILE holds the body of POST /v1/attention.",
        {"json": "print what the service would answer", "svg": "print the weights as a picture"},
    )
    _add_offline(
        commands,
        "check",
        "Check a candidate without a server. FILE holds the body of POST /v1/attention/check. "
        "The exit code is 1 when the candidate differs.",
        {"json": "print what the service would answer"},
    )
    return parser


def _add_offline(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str, forms: dict[str, str]
) -> None:
    """Add a command that reads one request; without one of the forms it prints a table."""
    parser = commands.add_parser(name, help=about.partition(".")[0].lower(), description=about)
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for the standard input")
    choice = parser.add_mutually_exclusive_group()
    for form, meaning in forms.items():
        choice.add_argument(f"--{form}", dest="form", action="store_const", const=form, default="table", help=meaning)
    parser.add_argument("--output", metavar="PATH", help="write to a file instead of the standard output")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to colour the table")


def _serve(options: argparse.Namespace) -> int:
    # Until the server has its own handlers.  The first process of a container has no default ones, so that a stop in
    # the first moments, while modules load, would be lost and end in a kill.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    # Worker processes read the environment too, so this is how flags reach them all.
    for name in SERVE_OPTIONS:
        if getattr(options, name) is not None:
            os.environ[f"ATTENTION_{name.upper()}"] = str(getattr(options, name))
    _start_no_blas_threads()

    from service.serving.server import serve
    from service.settings import Settings

    return serve(Settings())


def _start_no_blas_threads() -> None:
    """Leave the number of threads to ATTENTION_COMPUTE_THREADS alone; NumPy reads this when it is imported."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _openapi(_: argparse.Namespace) -> int:
    from service.main import create_app
    from service.settings import Settings
    from service.specification import build

    json.dump(build(create_app(Settings())), sys.stdout, ensure_ascii=False, indent=2)
    print(flush=True)
    return 0


def _offline(options: argparse.Namespace) -> int:
    _start_no_blas_threads()

    from service import offline

    order = offline.Order(options.file, options.form, options.output, options.color)
    return offline.run(order, {"attend": offline.attend, "check": offline.check}[options.command])


def _explain(error: ValidationError) -> str:
    """Say which setting is wrong, one line each."""
    lines = []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0])
        received = "something else" if name in SECRETS else repr(detail["input"])
        lines.append(f"attention-service: ATTENTION_{name.upper()}: {detail['msg']}; received {received}")
    return "\n".join(lines)


COMMANDS = {"serve": _serve, "openapi": _openapi, "attend": _offline, "check": _offline}


if __name__ == "__main__":
    sys.exit(main())
