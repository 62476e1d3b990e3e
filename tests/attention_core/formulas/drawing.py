"""Formulas drawn from a grammar, as trees of tuples, with parameters that fit them.

A tree is ``("number", x)``, ``("name", name)``, ``("index", name, trees)``, or ``(operation, trees)`` where an
operation is written as in the language, or "negate".
"""

ELEMENTWISE = ("abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "sigmoid", "softplus", "relu")
STEPS = ("square", "sign", "floor")
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
REDUCTIONS = ("sum", "mean", "max", "min", "norm", "norm1")
SMOOTH = ("+", "-", "*", "tanh", "sin", "exp", "sigmoid", "softplus", "square", "where", "/")

D, U, HEADS = 3, 4, 2

SHAPES = {"c": (), "g": (), "w": (D,), "v": (U,), "W": (U, D), "M": (D, D), "A": (U, 2 * D)}
"""Parameters of drawn score models."""


class Drawer:
    """Draws formulas of one kind."""

    def __init__(self, rng, kind, lengths=(5, 6)):
        self.rng = rng
        self.kind = kind
        self.lengths = lengths

    def formula(self, depth):
        return self.truth(depth) if self.kind == "mask" else self.number(depth)

    def number(self, depth):
        rng = self.rng
        if depth <= 0:
            return self.leaf()
        choice = rng.randrange(12 if self.kind == "score_model" else 8)
        if choice < 3:
            return rng.choice(ARITHMETIC[:4] * 3 + ARITHMETIC), (self.number(depth - 1), self.number(depth - 1))
        if choice == 3:
            return rng.choice((*ELEMENTWISE, *STEPS)), (self.number(depth - 1),)
        if choice == 4:
            return rng.choice(("minimum", "maximum")), (self.number(depth - 1), self.number(depth - 1))
        if choice == 5:
            return "where", (self.truth(depth - 1), self.number(depth - 1), self.number(depth - 1))
        if choice == 6:
            return "negate", (self.number(depth - 1),)
        if choice == 7:
            bounds = sorted((rng.randint(-3, 3), rng.randint(-3, 3)))
            return "clip", (self.number(depth - 1), *(("number", float(bound)) for bound in bounds))
        return self.reduction(choice, depth)

    def reduction(self, choice, depth):
        rng = self.rng
        size = rng.choice((D, D, U))
        if choice == 8:
            return rng.choice(("dot", "@", "cosine")), (self.vector(depth - 1, size), self.vector(depth - 1, size))
        if choice == 9:
            return "sum", (("*", (self.vector(depth - 1, size), self.vector(depth - 1, size))),)
        if choice == 10:
            return "dot", (("name", "v"), ("@", (("name", "A"), ("concat", (self.vector(0, D), self.vector(0, D))))))
        return rng.choice(REDUCTIONS), (self.vector(depth - 1, size),)

    def leaf(self):
        rng = self.rng
        if rng.random() < 0.3:
            return "number", rng.choice((0.0, 1.0, 2.0, 3.0, 0.5, 1.25, 7.0))
        if self.kind == "score_model":
            return rng.choice((("name", "c"), ("name", "g"), ("name", "D"), ("index", "w", (("number", 1.0),))))
        names = ["i", "j", "p", "b", "h", "Lq", "Lk", "c", "g"] + ["score"] * (6 * (self.kind == "score_modifier"))
        if rng.random() < 0.25:
            return rng.choice(
                (
                    ("index", "row", (("name", "i"),)),
                    ("index", "col", (("name", "j"),)),
                    ("index", "table", (("name", "h"), ("-", (("name", "p"), ("name", "j"))))),
                    ("index", "table", (("-", (("name", "j"), ("name", "i"))), ("-", (("name", "p"), ("name", "j"))))),
                    ("index", "col", (("+", (("name", "j"), ("number", 2.0))),)),
                )
            )
        return "name", rng.choice(names)

    def vector(self, depth, size):
        rng = self.rng
        choice = rng.randrange(8)
        if depth <= 0 or choice < 2:
            if size == U:
                return "@", (("name", "W"), ("name", rng.choice("qk")))
            return rng.choice((("name", "q"), ("name", "k"), ("name", "q"), ("name", "k"), ("name", "w")))
        if choice < 5:
            sides = [self.vector(depth - 1, size), self.vector(depth - 1, size)]
            if rng.random() < 0.2:
                sides[rng.randrange(2)] = self.number(depth - 2)
            return rng.choice(ARITHMETIC[:4]), tuple(sides)
        if choice == 5:
            return rng.choice(("negate", "negate", *ELEMENTWISE, *STEPS)), (self.vector(depth - 1, size),)
        if choice == 6:
            truth = rng.choice(COMPARISONS), (self.vector(depth - 1, size), self.vector(depth - 1, size))
            return "where", (truth, self.vector(depth - 1, size), self.number(depth - 2))
        if size == D:
            return "@", (self.vector(depth - 1, D), ("name", "M"))
        return "@", (("name", "W"), self.vector(depth - 1, D))

    def truth(self, depth):
        rng = self.rng
        choice = rng.randrange(6)
        if depth <= 0 or choice < 3:
            return rng.choice(COMPARISONS), (self.number(depth - 1), self.number(depth - 1))
        if choice == 3:
            return "not", (self.truth(depth - 1),)
        return rng.choice(("and", "or")), tuple(self.truth(depth - 1) for _ in range(rng.choice((2, 2, 3))))

    def parameters(self):
        """Numbers of quarters for every parameter, and which of them differ by head."""
        rng = self.rng
        shapes = dict(SHAPES)
        if self.kind != "score_model":
            shapes = {"c": (), "g": (), "row": self.lengths[:1], "col": self.lengths[1:], "table": (HEADS, 4)}
        by_head = {name for name in shapes if rng.random() < 0.3}
        if self.kind == "mask":
            by_head &= {"c", "col"}
        return {
            name: self._numbers((HEADS, *shape) if name in by_head else shape, whole=name in ("row", "col"))
            for name, shape in shapes.items()
        }, by_head

    def _numbers(self, shape, whole):
        if shape:
            return [self._numbers(shape[1:], whole) for _ in range(shape[0])]
        return float(self.rng.randint(0, 3)) if whole else self.rng.randint(-8, 8) / 4


def write(tree):
    """The tree as a formula."""
    operation, operands = tree[0], tree[1]
    if operation == "number":
        return repr(operands) if operands % 1 else repr(int(operands))
    if operation == "name":
        return operands
    if operation == "index":
        return f"{operands}[{', '.join(write(one) for one in tree[2])}]"
    texts = [write(one) for one in operands]
    if operation == "negate":
        return f"(-{texts[0]})"
    if operation == "not":
        return f"(not {texts[0]})"
    if operation.isidentifier() and operation not in ("and", "or"):
        return f"{operation}({', '.join(texts)})"
    return f"({f' {operation} '.join(texts)})"


def names_in(tree):
    """Names and parameters that a tree uses."""
    if tree[0] == "number":
        return set()
    if tree[0] == "name":
        return {tree[1]}
    if tree[0] == "index":
        return {tree[1]}.union(*(names_in(one) for one in tree[2]))
    return set().union(*(names_in(one) for one in tree[1]))
