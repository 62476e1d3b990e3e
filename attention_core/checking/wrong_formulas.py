"""Mistakes in what a call says by formulas: score modifiers, mask formulas, score models."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Scores
from attention_core.call import ResolvedCall
from attention_core.checking.variants import ChangedCall, CheckContext, Fields, Mistake, Variant, evaluate_included
from attention_core.checking.wrong_heads import count_heads
from attention_core.checking.wrong_masks import ChangedMask, change_masks, see_hidden
from attention_core.checking.wrong_normalizers import with_changed_logits
from attention_core.checking.wrong_scores import ChangedScores, evaluate_with_raw_scores
from attention_core.formula_mask import FormulaMask
from attention_core.formulas import BoundFormula, bind_formula
from attention_core.formulas.nodes import Node
from attention_core.mask_base import All
from attention_core.masks import masks_in
from attention_core.parameters import broadcast_over_pairs
from attention_core.positions import Alibi
from attention_core.score_modifier import ScoreModifier
from attention_core.score_tile import Tile
from attention_core.scores import FormulaScore

MAX_EDGES = 4
"""Maximum comparisons of a mask formula whose edges are moved."""

OTHER_STRICTNESS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
"""Each comparison by order, and the one that differs from it where both sides are equal."""

WIDENING = {"<": "+", "<=": "+", ">": "-", ">=": "-"}
"""How 1 is added to the right side of each comparison by order for it to hold more often."""

NARROWING = {"<": "-", "<=": "-", ">": "+", ">=": "+"}
"""How 1 is added to the right side of each comparison by order for it to hold less often."""

FormulaUser = ScoreModifier | FormulaMask | FormulaScore
"""What has a bound formula, and its parameters."""

FormulaChanges = Callable[[CheckContext, Any], Iterator[BoundFormula]]
"""Yields other formulas in the place of that of a `FormulaUser`; none where they would be the same."""

EarlyModifier = Callable[[ScoreModifier, ResolvedCall, Scores, Tile], Scores]
"""Changes the scores of a model earlier than a score modifier does."""


# Other formulas


def _rebind(user: FormulaUser, root: Node) -> BoundFormula:
    """Return another formula with the parameters and the sizes of a bound one."""
    bound = _bound(user)
    return bind_formula(replace(bound.formula, root=root), user.parameters or {}, bound.context, (), ())


def _bound(user: FormulaUser) -> BoundFormula:
    if user.bound is None:
        raise ValueError("only a bound formula can be got wrong")
    return user.bound


def _replaced(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """Return a tree in which every node for which `change` returns another one is replaced by that."""
    other = change(node)
    return replace(node, operands=tuple(_replaced(one, change) for one in node.operands)) if other is None else other


def rename(names: Mapping[str, str]) -> FormulaChanges:
    """Return the change of variables to other ones.

    :param names: the variable that stands in the place of each.
    """

    def renamed(node: Node) -> Node | None:
        is_renamed = node.operation == "name" and node.value in names
        return replace(node, value=names[str(node.value)]) if is_renamed else None

    def changes(_: CheckContext, user: FormulaUser) -> Iterator[BoundFormula]:
        formula = _bound(user).formula
        if any(formula.uses(name) for name in names):
            yield _rebind(user, _replaced(formula.root, renamed))

    return changes


def move_edges(_: CheckContext, user: FormulaUser) -> Iterator[BoundFormula]:
    """< for ≤ or the reverse, at one comparison or at all, or a side of one that is 1 too large or too small."""
    root = _bound(user).formula.root
    edges = [node for node in root.walk() if node.operation in OTHER_STRICTNESS][:MAX_EDGES]
    for edge in edges:
        opposite = WIDENING if OTHER_STRICTNESS[edge.operation] in ("<", ">") else NARROWING
        for moved in (_other_strictness(edge), _with_moved_side(edge, opposite[edge.operation])):
            yield _rebind(user, _replaced(root, partial(_other_edge, edge, moved)))
    if len(edges) > 1:
        yield _rebind(user, _replaced(root, _other_strictness))


def _other_edge(edge: Node, moved: Node | None, node: Node) -> Node | None:
    return moved if node is edge else None


def _other_strictness(node: Node) -> Node | None:
    other = OTHER_STRICTNESS.get(node.operation)
    return None if other is None else replace(node, operation=other)


def _with_moved_side(edge: Node, operation: str) -> Node:
    """Return a comparison with 1 added to its right side, or taken off."""
    left, right = edge.operands
    one = Node("number", right.span, value=1.0)
    return replace(edge, operands=(left, Node(operation, right.span, (right, one))))


def exchange_positions(_: CheckContext, user: FormulaUser) -> Iterator[BoundFormula]:
    """The query's position or index for that of the key, and the reverse."""
    formula = _bound(user).formula
    if formula.uses("j"):
        outside = {"p": "j", "i": "j", "j": "p" if formula.uses("p") else "i"}
        yield _rebind(user, _replaced(formula.root, partial(_exchanged, outside)))


def _exchanged(names: Mapping[str, str], node: Node) -> Node | None:
    """Return a name exchanged by `names`, and a parameter with its indices exchanged; None for another node."""
    if node.operation == "index":
        within = {"i": "j", "p": "j", "j": "i"}
        parameter, *indices = node.operands
        return replace(node, operands=(parameter, *(_replaced(one, partial(_exchanged, within)) for one in indices)))
    is_exchanged = node.operation == "name" and node.value in names
    return replace(node, value=names[str(node.value)]) if is_exchanged else None


def change_sign(_: CheckContext, user: FormulaUser) -> Iterator[BoundFormula]:
    """2 · score − modifier(score), of a modifier that adds to the score: what it adds has the other sign."""
    root = _bound(user).formula.root
    if root.operation != "name" and _adds_to_score(root):
        score, two = Node("name", root.span, value="score"), Node("number", root.span, value=2.0)
        yield _rebind(user, Node("-", root.span, (Node("*", root.span, (two, score)), root)))


def _adds_to_score(node: Node) -> bool:
    """Return whether a formula is the score plus or minus what does not depend on it."""
    if node.operation not in ("+", "-"):
        return node.operation == "name" and node.value == "score"
    left, right = node.operands
    if _adds_to_score(left):
        return not _uses_score(right)
    return node.operation == "+" and _adds_to_score(right) and not _uses_score(left)


def _uses_score(node: Node) -> bool:
    return any(one.operation == "name" and one.value == "score" for one in node.walk())


def take_other_heads(context: CheckContext, user: FormulaUser) -> Iterator[BoundFormula]:
    """Every query head uses what belongs to head 0, or to the head with the number of its key head."""
    bound, (heads, shared) = _bound(user), count_heads(context)
    if not heads or not (bound.formula.uses("h") or any(one.per_head for one in bound.parameters.values())):
        return
    orders = [np.zeros(heads, dtype=int)]
    if 1 < shared < heads:
        orders.append(np.arange(heads) // (heads // shared))
    for order in orders:
        yield bound.take_heads(order)


# Where they are made


def change_modifier(changes: FormulaChanges) -> Mistake:
    """Return the mistake of another formula of the score modifier."""

    def variants(context: CheckContext) -> Iterator[Variant]:
        modifier = context.call.score_modifier
        if modifier is not None:
            for bound in changes(context, modifier):
                yield context.changed(score_modifier=replace(modifier, bound=bound))

    return variants


def change_mask_formula(changes: FormulaChanges) -> Mistake:
    """Return the mistake of another mask formula."""

    def variants(context: CheckContext) -> Iterator[Variant]:
        for mask in masks_in(context.call.mask):
            if isinstance(mask, FormulaMask):
                for bound in changes(context, mask):
                    yield from change_masks(context, partial(_with_formula, bound), FormulaMask)

    return variants


def _with_formula(bound: BoundFormula, mask: FormulaMask) -> FormulaMask:
    return replace(mask, bound=bound)


def change_score_formula(changes: FormulaChanges) -> Mistake:
    """Return the mistake of another formula of the score model."""

    def variants(context: CheckContext) -> Iterator[Variant]:
        model = context.call.score_model
        for bound in changes(context, model) if isinstance(model, FormulaScore) else ():
            yield context.changed(score_model=replace(model, bound=bound))

    return variants


def modifier_positions(context: CheckContext) -> Iterator[Variant]:
    """i in the place of p, in the score modifier alone, or in the mask formula as well."""
    by_index = rename({"p": "i"})
    for modified in change_modifier(by_index)(context):
        yield modified
        for masked in change_mask_formula(by_index)(context):
            if isinstance(modified, ChangedCall) and isinstance(masked, ChangedCall):
                yield context.changed(score_modifier=modified.call.score_modifier, mask=masked.call.mask)


def mask_formula_missing(context: CheckContext) -> Iterator[Variant]:
    """The formula hides no key; other masks do."""
    masks = masks_in(context.call.mask)
    others = tuple(mask for mask in masks if not isinstance(mask, FormulaMask))
    if len(others) < len(masks):
        yield context.changed(mask=All(others) if others else None)


def mask_formula_inverted(context: CheckContext) -> Iterator[Variant]:
    """A key is hidden where the formula holds."""
    yield from change_masks(context, lambda mask: ChangedMask(mask, see_hidden), FormulaMask)


# The order of the steps


def modifier_before_scale(context: CheckContext) -> Iterator[Variant]:
    """scale · modifier(q·k)."""
    model: Any = context.call.score_model
    scale = getattr(model, "scale", None)
    if scale is None or np.all(np.asarray(scale) == 1):
        return
    unscaled = replace(model, scale=1.0 + 0.0 * scale)

    def early(modifier: ScoreModifier, _: ResolvedCall, scores: Scores, tile: Tile) -> Scores:
        scaled: Scores = broadcast_over_pairs(scale) * modifier.modify(scores, tile)
        return scaled

    yield from _modified_early(context, early, unscaled)


def modifier_before_softcap(context: CheckContext) -> Iterator[Variant]:
    """softcap · tanh(modifier(scores) / softcap)."""
    if context.call.softcap is not None:
        yield from _modified_early(context, lambda modifier, _, scores, tile: modifier.modify(scores, tile))


def modifier_before_bias(context: CheckContext) -> Iterator[Variant]:
    """modifier(capped scores) + bias + ALiBi."""
    call = context.call
    if call.bias is None and not isinstance(call.position, Alibi):
        return

    def early(modifier: ScoreModifier, call: ResolvedCall, scores: Scores, tile: Tile) -> Scores:
        capped = scores if call.softcap is None else call.softcap * np.tanh(scores / call.softcap)
        return modifier.modify(capped, tile)

    yield from _modified_early(context, early, softcap=None)


def _modified_early(
    context: CheckContext, early: EarlyModifier, model: Any = None, **changes: Any
) -> Iterator[Variant]:
    """Yield the variant whose score model gives modified scores.

    :param early: makes them of the model's scores.
    :param model: another score model; default that of the call.
    :param changes: fields of the call without the score modifier that have other values.
    """
    modifier = context.call.score_modifier
    if modifier is None:
        return
    scored = context.call if model is None else replace(context.call, score_model=model)

    def evaluate(call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
        tile = call.tile(rows)
        changed: Any = ChangedScores(scored.score_model, lambda scores: early(modifier, scored, scores, tile))
        return evaluate_with_raw_scores(context.call.score_model, replace(call, score_model=changed), rows)

    yield ChangedCall(replace(context.call, score_modifier=None, **changes), evaluate)


def modifier_after_mask(context: CheckContext) -> Iterator[Variant]:
    """modifier(masked logits), which may show keys that the mask hides."""
    modifier = context.call.score_modifier
    if modifier is not None and context.call.mask is not None:
        yield ChangedCall(replace(context.call, score_modifier=None), partial(_modified_last, modifier))


def _modified_last(modifier: ScoreModifier, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    tile = call.tile(rows)
    normalizer: Any = with_changed_logits(call.normalizer, lambda logits: modifier.modify(logits, tile))
    return evaluate_included(replace(call, normalizer=normalizer), rows)
