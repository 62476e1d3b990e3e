"""Check a candidate against attention in float64, and name the usual mistake that reproduces a wrong one."""

from attention_core.checking.check import CANDIDATES, PIPELINE, Check, CheckResult
from attention_core.checking.comparison import DEFAULT_TOLERANCES
from attention_core.checking.mistakes import MISTAKES
from attention_core.checking.precision import Rounding

__all__ = ["CANDIDATES", "DEFAULT_TOLERANCES", "MISTAKES", "PIPELINE", "Check", "CheckResult", "Rounding"]
