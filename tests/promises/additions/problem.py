"""A problem with an exception of its own and a status that no other problem has."""

from development.generate import pages_of
from tests.promises.additions import Addition
from tests.promises.tree import Edit

EXCEPTION = '''\
class Gone(ServiceError, slug="gone"):
    """The request contradicts another one."""


'''

DECLARATION = """\
  "gone": {
    "status": 410,
    "of_computing": true,
    "title": {"zh": "请求相互矛盾", "en": "Two requests contradict each other"},
    "when": {"zh": "请求与另一个请求矛盾。", "en": "The request contradicts another one."},
    "advice": {"zh": "等另一个请求完成。", "en": "Wait for the other request to end."},
    "in_playground": {"zh": "另一个请求尚未完成。请稍候。", "en": "Another request is running. Wait for it."}
  },
"""

PROOF = """
import asyncio

import httpx

from service.errors import Gone
from service.main import create_app
from service.problems import problem_document
from service.settings import Settings

error = Gone("expected one request; received two. Wait.")
document = problem_document(error.slug, str(error))
assert (document["type"], document["status"]) == ("/problems/gone", 410), document


async def page() -> str:
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        described = (await client.get("/openapi.json")).json()["paths"]["/v1/attention"]["post"]["responses"]["410"]
        assert "gone" in described["content"]["application/problem+json"]["examples"], described
        return (await client.get("/problems/gone")).text


text = asyncio.run(page())
assert "Wait for the other request to end." in text and "等另一个请求完成。" in text, text
"""

ADDITION = Addition(
    edits=(
        Edit("service/errors.py", EXCEPTION, before="class DeadlineExceeded"),
        Edit("service/problems/kinds.json", DECLARATION, before='  "malformed-body": {'),
    ),
    max_files=2,
    generated=(
        *pages_of("problems"),
        "attention_client/names.json",
        "openapi/openapi.json",
        "service/pages/playground/words/en.js",
        "service/pages/playground/words/zh.js",
    ),
    proof=PROOF,
    tests=(
        "tests/promises/test_generated.py",
        "tests/promises/test_readme_tables.py::test_the_slugs_are_those_of_the_service",
        "tests/service/test_paths.py::test_all_problems_are_on_one_page",
        "tests/service/test_specification.py::test_the_file_is_what_the_command_prints",
        "tests/service/test_specification.py::test_it_is_valid_openapi",
        "tests/attention_client/test_refusals.py::test_every_problem_of_the_service_has_its_type",
    ),
)
