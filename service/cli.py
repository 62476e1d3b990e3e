"""attention-service serve | healthcheck | openapi | attend | check | gradients | memory."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from service.environment import ignored_variables, our_variable, variable_of, variables

if TYPE_CHECKING:
    from pydantic import ValidationError

SERVE_FLAGS: Mapping[str, str] = {
    # generated: flags
    "host": "address to listen on (default 127.0.0.1)",
    "port": "port to listen on; where it is absent, that of the variable PORT (default 8000)",
    "uds": "path of a Unix socket to listen on instead of a host and a port",
    "workers": "processes that serve requests; where it is absent, the number in WEB_CONCURRENCY (default 1)",
    "root_path": "path prefix under which a proxy publishes the service",
    # end: flags
}
"""Settings that are flags as well, with their help; here as importing the settings takes most of a health check."""

SECRETS = ("api_keys", "memories_url")
"""Settings whose values no message shows; a URL may hold a password."""

WRONG_SETTING = 2
"""The exit code of a program that a setting has ended, as argparse has it for a wrong flag."""

URL_VARIABLE, API_KEY_VARIABLE = "ATTENTION_URL", "ATTENTION_API_KEY"
"""Variables that a command reads which asks a running service."""

DEFAULT_URL = "http://127.0.0.1:8000"

_NAME = {"NAME": "of the memory"}
_FILE = {"FILE": "a JSON or safetensors file, or - for the standard input"}
_IF_MATCH = {"if-match": ("VERSION", "only if the memory has this version; * is any")}

MEMORY_ACTIONS: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, tuple[str, str]]]] = {
    "put": (
        "Create or replace a memory; FILE holds the body of PUT /v1/memories/NAME.",
        {**_NAME, **_FILE},
        {**_IF_MATCH, "if-none-match": ("*", "only if there is no memory of the name")},
    ),
    "append": (
        "Add keys to a memory; FILE holds the body of POST /v1/memories/NAME/append.",
        {**_NAME, **_FILE},
        _IF_MATCH,
    ),
    "get": (
        "Describe a memory; with --output download its tensors.",
        _NAME,
        {"output": ("PATH", "write keys, values and labels to a safetensors file, which `put` reads")},
    ),
    "list": ("List the memories.", {}, {}),
    "delete": ("Remove a memory.", _NAME, _IF_MATCH),
}
"""Commands below `memory`: what they do, their places and their flags."""

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C has ended, as shells report it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "uds", None) is not None and (options.host is not None or options.port is not None):
        parser.error("argument --uds: not allowed with --host or --port")
    try:
        return COMMANDS[options.command](options)
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        _complain(_explain(error))
        return WRONG_SETTING
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # the reader, such as `head`, has closed the pipe


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="attention-service", description="Attention as a service.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve over HTTP",
        description="Serve over HTTP. Other settings are variables ATTENTION_…; see docs/reference/settings.md.",
    )
    for name, meaning in SERVE_FLAGS.items():
        serve.add_argument(f"--{name.replace('_', '-')}", help=meaning)
    healthcheck = commands.add_parser(
        "healthcheck",
        help="ask whether a service is ready",
        description="Ask the service that runs with the same settings for /readyz. The exit code is 1 when it is not "
        "ready.",
    )
    healthcheck.add_argument("--host", help="address to ask (default 127.0.0.1)")
    healthcheck.add_argument("--port", help="port to ask (default 8000)")
    healthcheck.add_argument("--uds", metavar="PATH", help="Unix socket to ask, instead of a host and a port")
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
    _add_offline(
        commands,
        "gradients",
        "Compute gradients without a server. FILE holds the body of POST /v1/attention/gradients.",
        {"json": "print what the service would answer"},
    )
    _add_memory(commands)
    return parser


def _add_memory(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that ask a running service for its memories."""
    parser = commands.add_parser(
        "memory",
        help="put, list and remove memories of a running service",
        description="Put, list and remove memories of a running service. An API key is read from the variable "
        f"{API_KEY_VARIABLE}.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (about, places, flags) in MEMORY_ACTIONS.items():
        action = actions.add_parser(name, help=about.partition(";")[0].rstrip("."), description=about)
        for place, meaning in places.items():
            action.add_argument(place.lower(), metavar=place, help=meaning)
        for flag, (metavar, meaning) in flags.items():
            action.add_argument(f"--{flag}", metavar=metavar, help=meaning)
        action.add_argument(
            "--json",
            dest="form",
            action="store_const",
            const="json",
            default="table",
            help="print what the service answers",
        )
        action.add_argument(
            "--url",
            default=os.environ.get(URL_VARIABLE) or DEFAULT_URL,
            help=f"of the service; where it is absent, that of the variable {URL_VARIABLE} (default {DEFAULT_URL})",
        )
        action.add_argument(
            "--color", choices=("auto", "always", "never"), default="auto", help="when to colour the table"
        )


def _add_offline(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str, forms: dict[str, str]
) -> None:
    """Add a command that reads one request; it prints a table, or one of `forms` (flag to help text)."""
    parser = commands.add_parser(name, help=about.partition(".")[0].lower(), description=about)
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for the standard input")
    choice = parser.add_mutually_exclusive_group()
    for form, meaning in forms.items():
        choice.add_argument(f"--{form}", dest="form", action="store_const", const=form, default="table", help=meaning)
    parser.add_argument("--output", metavar="PATH", help="write to a file instead of the standard output")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to colour the table")


def _serve(options: argparse.Namespace) -> int:
    from service.telemetry.line_writer import open_missing_streams

    open_missing_streams()
    # Handle signals until the server has its own handlers.  The first process of a container has no default handlers:
    # a signal to stop while modules load would be lost, and the process killed later.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)
    _pass_flags_on({name: str(value) for name in SERVE_FLAGS if (value := getattr(options, name)) is not None})
    _start_no_blas_threads()

    from service.cluster import why_missing
    from service.memories import why_unusable
    from service.serving.server import serve
    from service.settings import Settings

    settings = Settings()
    unusable = why_unusable(settings)
    if unusable is not None:
        name, reason = unusable
        _complain(f"attention-service: {our_variable(name)}: {reason}")
        return WRONG_SETTING
    missing = why_missing(settings)
    if missing is not None:
        _complain(f"attention-service: {our_variable('ray_address')}: {missing}")
        return WRONG_SETTING
    return serve(settings, list(_warnings()))


def _pass_flags_on(flags: Mapping[str, str]) -> None:
    """Put flags into the environment, where worker processes find them, and remove the settings that they override."""
    unset = {"host", "port"} if "uds" in flags else {"uds"} if {"host", "port"} & set(flags) else set()
    replaced = {our_variable(name) for name in {*flags, *unset}}
    for variable in [variable for variable in os.environ if variable.upper() in replaced]:
        del os.environ[variable]
    os.environ.update({our_variable(name): value for name, value in flags.items()})


def _warnings() -> Iterator[str]:
    """Yield a line for each ignored variable that looks like a setting."""
    for variable, warning in ignored_variables(variables()).items():
        yield f"{variable}: {warning}"


def _healthcheck(options: argparse.Namespace) -> int:
    from service import health

    reason = health.why_not_ready(options.host, options.port, options.uds)
    if reason is None:
        return 0
    _complain(f"attention-service: {reason}")
    return 1


def _start_no_blas_threads() -> None:
    """Let ATTENTION_COMPUTE_THREADS alone set the number of threads; NumPy reads the variable when it is imported."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _openapi(_: argparse.Namespace) -> int:
    from service.main import create_app
    from service.settings import OfflineSettings
    from service.specification import build

    _warn()
    json.dump(build(create_app(OfflineSettings())), sys.stdout, ensure_ascii=False, indent=2)
    print(flush=True)
    return 0


def _offline(options: argparse.Namespace) -> int:
    _start_no_blas_threads()

    from service import offline

    _warn()
    order = offline.Order(options.file, options.form, options.output, options.color)
    work = {"attend": offline.attend, "check": offline.check, "gradients": offline.gradients}
    return offline.run(order, work[options.command])


def _memory(options: argparse.Namespace) -> int:
    from service import memory_commands
    from service.streams import Output

    given = vars(options)
    conditions = {
        field: text if text == "*" else f'"{text}"'
        for field, text in (("If-Match", given.get("if_match")), ("If-None-Match", given.get("if_none_match")))
        if text is not None
    }
    order = memory_commands.Order(
        options.url,
        os.environ.get(API_KEY_VARIABLE),
        Output(options.form, given.get("output"), options.color),
        given.get("name"),
        given.get("file"),
        conditions,
    )
    return memory_commands.run(options.action, order)


def _complain(text: str) -> None:
    """Print to standard error if there is one; `print` would write to standard output instead."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)


def _warn() -> None:
    for warning in _warnings():
        _complain(f"attention-service: {warning}")


def _explain(error: "ValidationError") -> str:
    """Return one line for each wrong setting."""
    lines = []
    for detail in error.errors(include_url=False):
        if detail["loc"]:
            name = str(detail["loc"][0])
            variable = variable_of(name, variables()) or our_variable(name)
            received = "something else" if name in SECRETS else repr(detail["input"])
            lines.append(f"attention-service: {variable}: {detail['msg']}; received {received}")
        else:
            lines.append(f"attention-service: {detail['msg']}")
    return "\n".join(lines)


COMMANDS = {
    "serve": _serve,
    "healthcheck": _healthcheck,
    "openapi": _openapi,
    "attend": _offline,
    "check": _offline,
    "gradients": _offline,
    "memory": _memory,
}


if __name__ == "__main__":
    sys.exit(main())
