"""Is a result right, and if not, which of the usual mistakes makes it so?"""

from attention_core.checking.check import CANDIDATES, Check, CheckResult
from attention_core.checking.comparison import DEFAULT_TOLERANCES
from attention_core.checking.mistakes import MISTAKES

__all__ = ["CANDIDATES", "DEFAULT_TOLERANCES", "MISTAKES", "Check", "CheckResult"]
