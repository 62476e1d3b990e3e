"""What the documentation say of make and docker agrees with the Makefile, the Dockerfile and docker-compose.yml."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.promises.readme import LANGUAGES, MANUAL, ROOT, all_commands, codes, table

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)[1].split()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
COMPOSE = SERVICES["attention"]
PROFILES = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
RUN_FLAGS = {
    "ports": "--publish",
    "environment": "--env",
    "volumes": "--volume",
    "read_only": "--read-only",
    "tmpfs": "--tmpfs",
    "cap_drop": "--cap-drop",
    "security_opt": "--security-opt",
    "mem_limit": "--memory",
    "cpus": "--cpus",
    "pids_limit": "--pids-limit",
    "stop_grace_period": "--stop-timeout",
}
NOT_RUN_FLAGS = {"build", "image", "healthcheck", "restart"}
"""What docker run takes from the image, or what a person who types a command does without."""


@pytest.mark.parametrize(("assignments", "words"), all_commands("make"))
def test_make_commands_are_targets(assignments: dict[str, str], words: list[str]) -> None:
    target, *variables = words[1:]
    assert target in TARGETS
    assert not assignments
    for name in (variable.split("=")[0] for variable in variables):
        assert re.search(rf"^{name} \?=", MAKEFILE, re.MULTILINE), f"the Makefile does not let anyone set {name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_commands_names_every_target(language: str) -> None:
    assert {codes(row[0])[0] for row in table(language, "Command")} == {f"make {target}" for target in TARGETS}


@pytest.mark.parametrize(("assignments", "words"), all_commands("docker"))
def test_docker_commands_agree_with_compose(assignments: dict[str, str], words: list[str]) -> None:
    settings = {name for name, value in COMPOSE["environment"].items() if value is None}
    published = {name for name in assignments if any(f"${{{name}" in port for port in COMPOSE["ports"])}
    assert set(assignments) <= published | settings
    if words[1:3] == ["compose", "build"]:
        assert words[3] == "--build-arg"
        assert (ROOT / "requirements" / f"{words[4].removeprefix('LOCK=')}.txt").is_file()
    elif words[1] == "compose" and "kill" in words:
        assert words[2:] == ["--profile", "replicas", "kill", "--signal", "SIGTERM", "attention-2"]
        assert SERVICES["attention-2"]["profiles"] == ["replicas"]
    elif words[1] == "compose":
        options = words[2:-1] if words[-1] == "up" else words[2:-2]
        assert words[2 + len(options) :] in (["up", "--build"], ["up"])
        assert set(options[::2]) <= {"--profile"}
        assert set(options[1::2]) <= PROFILES
    elif words[1] == "build":
        assert words[2:] == ["--tag", COMPOSE["image"], COMPOSE["build"]]
    else:
        assert words[1:3] == ["run", "--rm"]
        assert words[-1] == COMPOSE["image"]
        flags = iter(words[3:-1])
        given = [(flag, "" if flag == "--read-only" else next(flags)) for flag in flags]
        assert sorted(given) == sorted(compose_flags())


def compose_flags() -> Iterator[tuple[str, str]]:
    """What docker run must be told to do as docker-compose.yml does."""
    assert set(COMPOSE) <= set(RUN_FLAGS) | NOT_RUN_FLAGS, "say in RUN_FLAGS what docker run calls the new key"
    for name in RUN_FLAGS.keys() & COMPOSE.keys():
        values = COMPOSE[name]
        if isinstance(values, dict):
            values = [key if value is None else f"{key}={value}" for key, value in values.items()]
        for value in values if isinstance(values, list) else [values]:
            text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
            yield (
                RUN_FLAGS[name],
                "" if value is True else text.removesuffix("s") if name == "stop_grace_period" else text,
            )


@pytest.mark.parametrize("language", LANGUAGES)
def test_user_and_address_of_the_image_are_those_of_the_dockerfile(language: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user, host, port = (
        re.findall(pattern, dockerfile, re.MULTILINE)[-1]
        for pattern in (r"^USER (\S+)$", r"ATTENTION_HOST=(\S+)", r"^EXPOSE (\d+)$")
    )
    shown = [code for section in MANUAL[language] for code in codes(section.prose)]
    assert {user, f"{host}:{port}"} <= set(shown)
