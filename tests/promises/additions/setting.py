"""A setting that limits the numbers of a result, declared in one file and read in another."""

from development.generate import pages_of
from tests.promises.additions import Addition
from tests.promises.tree import Edit

DECLARATION = """\
    max_result_numbers: Annotated[
        int,
        Field(gt=0),
        Setting(zh="结果中最多的数。", en="Most numbers of one result.", offline=True),
    ] = 1_000_000_000
"""

USE = """\
    if cost.result_numbers > settings.max_result_numbers:
        return f"expected at most {settings.max_result_numbers} numbers; received a request for {cost.result_numbers}."
"""

PROOF = """
import os

os.environ["ATTENTION_MAX_RESULT_NUMBERS"] = "3"
from service.compute import Body, prepare_attention
from service.errors import TooLarge
from service.settings import Settings

body = Body(b'{"query": [[1], [2]], "key": [[1], [2]]}')
try:
    prepare_attention(body, Settings())
except TooLarge as error:
    assert "expected at most 3 numbers" in str(error)
else:
    raise AssertionError("the limit was not kept")
prepare_attention(body, Settings(max_result_numbers=1000))
"""

ADDITION = Addition(
    edits=(
        Edit("service/settings.py", DECLARATION, before="    max_decompression_ratio: "),
        Edit("service/compute/budget.py", USE, before="    if size > settings.max_result_bytes:"),
    ),
    max_files=2,
    generated=(
        *pages_of("settings", "limits by setting"),
        "deploy/helm/attention-service/values.yaml",
        "deploy/helm/attention-service/values.schema.json",
    ),
    proof=PROOF,
    tests=(
        "tests/promises/test_generated.py",
        "tests/promises/test_readme_tables.py::test_the_settings_are_those_of_the_service",
        "tests/promises/test_settings.py",
        "tests/promises/test_settings_of_commands.py",
        "tests/deploy/test_values.py",
        "-k",
        "generated or these_tests_know or max_result_numbers or settings_are_those or are_all_that_they_use",
    ),
)
