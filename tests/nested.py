"""Nested lists as arrays, in plain Python: shapes, broadcasting, packing.  What the oracle stands on."""

import itertools


def shape(nested):
    """Shape of nested lists, read along the first elements."""
    return (len(nested), *shape(nested[0])) if isinstance(nested, list) else ()


def rank(nested):
    """How deep lists nest, read along the first elements."""
    depth = 0
    while isinstance(nested, list):
        depth, nested = depth + 1, nested[0]
    return depth


def at(nested, index):
    """The vector at an index whose leading axes may be broadcast: surplus axes dropped, length 1 read at 0."""
    for step in index[len(index) - (rank(nested) - 1) :]:
        nested = nested[step if len(nested) > 1 else 0]
    return nested


def aligned(nested, full, position):
    """The element of an array that broadcasts, right-aligned, to the shape `full`."""
    for step in position[len(full) - rank(nested) :]:
        nested = nested[step if len(nested) > 1 else 0]
    return nested


def unpack(nested, heads):
    """(B, L, H·D) to (B, H, L, D)."""
    size = shape(nested)[2] // heads
    return [[[vector[h * size : (h + 1) * size] for vector in row] for h in range(heads)] for row in nested]


def exchange(nested):
    """(B, L, H, D) to (B, H, L, D), and back; None stays."""
    return nested and [[list(vectors) for vectors in zip(*batch, strict=True)] for batch in nested]


def join(past, new):
    """Past and new, along the next to last axis."""
    if past is None or new is None:
        return new
    if len(shape(past)) == 2:
        return past + new
    return [join(one, other) for one, other in zip(past, new, strict=True)]


def broadcast(a, b):
    """The shape that two shapes broadcast to."""
    padded = itertools.zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(reversed([y if x == 1 else x for x, y in padded]))


def shrink(index, leading):
    """The index into axes `leading` that an index into wider axes broadcasts from."""
    own = index[len(index) - len(leading) :]
    return tuple(step if size > 1 else 0 for step, size in zip(own, leading, strict=True))


def nest(rows, sizes):
    """Nested lists from a dict of index → row."""

    def build(prefix):
        if len(prefix) == len(sizes):
            return rows[prefix]
        return [build((*prefix, n)) for n in range(sizes[len(prefix)])]

    return build(())
