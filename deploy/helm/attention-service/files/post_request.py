"""Post the Honor of Kings request to the service at ADDRESS and compare the answer with the worked example.

ADDRESS is host:port; KEY is an API key where the service asks for one.  The exit code is 1 when the answer differs.
"""

import json
import os
import sys
from http.client import HTTPConnection
from typing import Any


def ask(method: str, path: str, body: str | None = None) -> Any:
    """Return the JSON of an answer with status 200; exit with the answer where it has another."""
    connection = HTTPConnection(os.environ["ADDRESS"], timeout=30)
    key = os.environ.get("KEY")
    connection.request(method, path, body, {"Authorization": f"Bearer {key}"} if key else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        hint = " Name a Secret with an API key in tests.keySecret." if answer.status == 401 else ""
        sys.exit(f"{method} {path}: expected status 200; received {answer.status} {text}.{hint}")
    return json.loads(text)


def flat(numbers: Any) -> list[float]:
    """Return the numbers of nested lists in one list."""
    return [one for part in numbers for one in flat(part)] if isinstance(numbers, list) else [numbers]


example = ask("GET", "/v1/examples/honor-of-kings")
answer = ask("POST", "/v1/attention", json.dumps(example["request"]))
for name, expected in example["expected"].items():
    differences = [abs(one - other) for one, other in zip(flat(expected), flat(answer[name]), strict=True)]
    if max(differences) > example["tolerance"]:
        sys.exit(f"{name}: expected {expected}; received {answer[name]}")
print(f"The marksman gets {answer['weights'][0][0]:.1%} of the attention, as expected.")
