"""The environment variables of settings; imports little, since a health check runs every few seconds."""

import os
import re
from collections.abc import Mapping

PREFIX = "ATTENTION_"

PLATFORM_VARIABLES = {"port": "PORT", "workers": "WEB_CONCURRENCY"}
"""Variables of platforms such as Cloud Run and Heroku, read where ours are absent."""

SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://.*")
"""Values that Kubernetes, and links of Docker, give ATTENTION_PORT for a Service called attention."""


def variables() -> dict[str, str]:
    """Return the environment, with the names of our variables in upper case."""
    return {name.upper() if name.upper().startswith(PREFIX) else name: value for name, value in os.environ.items()}


def our_variable(name: str) -> str:
    """Return the name of the variable of a setting."""
    return PREFIX + name.upper()


def variable_of(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the variable from which a setting is read, a platform's only where ours is absent; None without any."""
    ours, platforms = our_variable(name), PLATFORM_VARIABLES.get(name)
    if ours in environment and ours not in ignored_variables(environment):
        return ours
    return platforms if platforms in environment else None


def ignored_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have the name of a setting but another purpose, each with a warning."""
    variable = our_variable("port")
    value = environment.get(variable, "")
    if not SERVICE_LINK.fullmatch(value):
        return {}
    return {
        variable: f"expected a port; received {value!r}, which is ignored: Kubernetes sets {variable} for a Service "
        'called "attention". Set enableServiceLinks: false in the pod, or give the Service another name.'
    }
