"""The page of limits is that of the table which the tests assert."""

import re

from tests.operations import PAGE, Limit, page
from tests.promises.readme import ROOT


def test_the_page_of_limits_is_written_anew() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.operations"


def test_every_limit_is_asserted_by_a_test() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "service").rglob("test_*.py")]
    asserted = {name for source in sources for name in re.findall(r"\bLimit\.(\w+)\.number", source)}
    assert asserted == {limit.name for limit in Limit}
