"""Score functions, score modifiers and masks that a request writes as formulas.

::

    formula = parse_formula("-sum(abs(q - k)) / tau", "score_model", ("score_model", "formula"))
    bound = bind_formula(formula, {"tau": 2.0}, FormulaContext(np.dtype(float), None, 4, 4), path, parameters_path)
    scores = bound.score_pairs(bound.project_queries(queries), bound.project_keys(keys))

`language` holds the table from which everything else is made.  `parsing` makes a tree of a text by `ast`, within
limits; nothing that came in is run.  `building` infers types and makes a graph of steps, which `evaluation` computes
for a tile and `differentiation` goes back.
"""

from attention_core.formulas.binding import bind_formula
from attention_core.formulas.bound import BoundFormula
from attention_core.formulas.context import FormulaContext, FormulaGradient, TilePositions
from attention_core.formulas.language import FUNCTIONS, GROUPS, LANGUAGE, RESERVED, Entry, FormulaKind, variables_of
from attention_core.formulas.names import PARAMETERS
from attention_core.formulas.nodes import Node
from attention_core.formulas.parameters import ParameterValue, PerHead
from attention_core.formulas.parsing import Formula, names_in, parse_formula

__all__ = [
    "FUNCTIONS",
    "GROUPS",
    "LANGUAGE",
    "PARAMETERS",
    "RESERVED",
    "BoundFormula",
    "Entry",
    "Formula",
    "FormulaContext",
    "FormulaGradient",
    "FormulaKind",
    "Node",
    "ParameterValue",
    "PerHead",
    "TilePositions",
    "bind_formula",
    "names_in",
    "parse_formula",
    "variables_of",
]
