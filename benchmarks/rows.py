"""The rows of the core: a call of ours, the calls that stand beside it, and the targets.

Tables, pictures and the command line are made from `ROWS`.  Targets are largest ratios of our time to the peer's.
"""

from dataclasses import dataclass, replace

from benchmarks.backend_process import (
    CDIST,
    FIVE_LINES,
    JAX,
    ONNXRUNTIME,
    OUR_NUMPY,
    OURS,
    PRODUCTS,
    PYTORCH,
    SUM,
)
from benchmarks.work import Shape, Work


@dataclass(frozen=True)
class Peer:
    """What stands beside a row."""

    side: str
    """A name in `SIDES`."""
    target: float | None = None
    prize: float | None = None
    """A ratio that would be better than asked for."""
    work: Work | None = None
    """What the peer does; default the row's work."""
    words: str = ""
    """Its name in the tables; default that of the side."""

    @property
    def name(self) -> str:
        """Tells it from the other peers of a row."""
        return self.words or self.side


@dataclass(frozen=True)
class Row:
    """One call of ours beside its peers."""

    name: str
    work: Work
    peers: tuple[Peer, ...]
    memory: bool = False
    """Whether the growth of the process is measured as well, on each side."""
    memory_target: float | None = None
    """MiB beside inputs and results."""

    @property
    def judged(self) -> bool:
        """Whether there is a target; other rows are only drawn."""
        return self.memory_target is not None or any(peer.target is not None for peer in self.peers)


ALL = "all three results"
FULL = "full"

TARGETS: dict[Shape, tuple[float, float, float]] = {
    (1, 8, 1024, 64): (0.90, 0.75, 0.80),
    (1, 8, 4096, 64): (0.80, 0.72, 0.80),
    (1, 1, 16384, 64): (0.80, 0.72, 0.60),
    (1, 8, 2048, 128): (0.95, 0.85, 0.80),
}
"""Target and prize of the full call, target of the causal one."""

FORMULAS: tuple[tuple[str, str, float], ...] = (
    ("scaled_dot_product", "q @ k / sqrt(D)", 1.3),
    ("dot_product", "sum(q * k)", 1.3),
    ("bilinear", "q @ weight @ k", 1.3),
    ("cosine", "cosine(q, k)", 1.3),
    ("cosine", "dot(q, k) / (norm(q) * norm(k))", 1.3),
    ("cosine", "(q / norm(q)) @ (k / norm(k))", 1.3),
    ("trilinear", "weight @ concat(q, k, q * k)", 1.3),
    ("additive", "score_vector @ tanh(query_weight @ q + key_weight @ k)", 2),
    ("gaussian", "-sum(square(q - k)) / 2", 2),
    ("laplacian", "-norm1(q - k)", 2),
)
"""Built-in score models, each as a formula, and the target of its time to the model's."""

FORMULA_CALLS: tuple[tuple[Shape, str], ...] = (
    ((1024, 64), "attention"),
    ((4096, 64), "attention"),
    ((1024, 64), "backward"),
)
"""Shapes and operations of formulas beside built-in models."""

CAUSAL_OVER_FULL, BACKWARD, GROUPED, PAIRWISE, SMALL, FLOAT64, MATRICES = 0.58, 0.8, 0.85, 0.04, 0.7, 0.75, 0.6

THROUGHPUT_LENGTHS = tuple(1 << power for power in range(7, 15))
"""Of eight heads with 64 features: GFLOP/s against length."""

LENGTHS = tuple(1 << power for power in range(8, 16))
"""Of one head with 64 features: time and memory against length."""

MAX_DENSE_LENGTH = 16384
"""Above it, matrices of scores and weights and what makes them take most of the memory of a small machine."""

RIVALS = (Peer(ONNXRUNTIME), Peer(JAX))


def words_of(shape: Shape) -> str:
    """Return a shape as it stands in names."""
    return ",".join(map(str, shape))


def full(shape: Shape) -> Row:
    """Return the row of a shape without mask, with what its pictures need."""
    work = Work(shape)
    target, prize, _ = TARGETS.get(shape, (None, None, None))
    peers = [Peer(PYTORCH, target, prize), *(RIVALS if shape in TARGETS else ())]
    heads, length, features = shape[1:]
    if heads == 8 and features == 64:
        peers += [Peer(OUR_NUMPY), Peer(PRODUCTS, work=replace(work, operation="products"))]
    if heads == 1 and length <= MAX_DENSE_LENGTH:
        peers += [Peer(OURS, work=replace(work, operation="matrices"), words=ALL)]
    return Row(
        f"{FULL} {words_of(shape)}",
        work,
        tuple(peers),
        memory=heads == 1,
        memory_target=16 if length == 32768 else None,
    )


def causal(shape: Shape, target: float) -> Row:
    """Return the row of a shape with a causal mask, beside the full call as well."""
    over_full = Peer(OURS, CAUSAL_OVER_FULL, work=Work(shape), words="our own full")
    return Row(f"causal {words_of(shape)}", Work(shape, causal=True), (Peer(PYTORCH, target), over_full, *RIVALS))


def decode(query: Shape, key: Shape, target: float) -> Row:
    """Return the row of one query, beside the time that reading keys and values takes."""
    work = Work(query, key)
    read = Peer(SUM, 2, 1.2, work=replace(work, operation="sum"))
    return Row(f"decode {words_of(query)} over {words_of(key)}", work, (Peer(PYTORCH, target), read, *RIVALS))


def written(model: str, formula: str, target: float, shape: Shape, operation: str) -> Row:
    """Return the row of a formula beside the built-in model with the same mathematics."""
    work = Work(shape, operation=operation, score_model=model)
    words = "forward + backward " if operation == "backward" else ""
    built_in = Peer(OURS, target, work=work, words=f"our {model}")
    return Row(f"formula {words}{words_of(shape)}: `{formula}`", replace(work, formula=formula), (built_in,))


GROUPS: Shape = (1, 8, 2048, 128)

ROWS = (
    *map(full, TARGETS),
    *(causal(shape, target) for shape, (_, _, target) in TARGETS.items()),
    *(
        Row(f"forward + backward {words_of(shape)}", Work(shape, operation="backward"), (Peer(PYTORCH, BACKWARD),))
        for shape in TARGETS
    ),
    Row(
        f"grouped heads 1,32,2048,128 over {words_of(GROUPS)}",
        Work((1, 32, 2048, 128), GROUPS),
        (Peer(PYTORCH, GROUPED), *RIVALS),
    ),
    Row("bias 1,8,1024,64", Work((1, 8, 1024, 64), bias=True), (Peer(PYTORCH, GROUPED),)),
    Row("window of 256, 1,8,16384,64", Work((1, 8, 16384, 64), window=256), (Peer(PYTORCH, GROUPED),)),
    decode((8, 32, 1, 128), (8, 8, 4096, 128), 0.7),
    decode((1, 8, 1, 64), (1, 8, 131072, 64), 1.0),
    *(
        Row(f"{model} 1024,64", Work((1024, 64), score_model=model), (Peer(PYTORCH, PAIRWISE), *others))
        for model, others in (("additive", ()), ("gaussian", (Peer(CDIST),)), ("laplacian", (Peer(CDIST),)))
    ),
    *(
        Row(f"small {words_of(shape)}", Work(shape), (Peer(FIVE_LINES, SMALL),))
        for shape in ((4, 8), (32, 32), (256, 64))
    ),
    Row("float64 1,8,1024,64", Work((1, 8, 1024, 64), dtype="float64"), (Peer(PYTORCH, FLOAT64),)),
    Row(f"{ALL} 1,8,1024,64", Work((1, 8, 1024, 64), operation="matrices"), (Peer(OUR_NUMPY, MATRICES),)),
    *(written(*one, *call) for call in FORMULA_CALLS for one in FORMULAS),
    *(full((1, 8, length, 64)) for length in THROUGHPUT_LENGTHS if (1, 8, length, 64) not in TARGETS),
    *(full((1, 1, length, 64)) for length in LENGTHS if (1, 1, length, 64) not in TARGETS),
)
