"""Formulas that the request has are left out, come at another step, or are read with other names."""

import re

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


class WithModifier(Kernel):
    takes_formulas = True

    def fits(self):
        return self.request.get("score_modifier") is not None


class WithMaskFormula(Kernel):
    takes_formulas = True

    def fits(self):
        return self.mask.get("formula") is not None


@mistake("score modifier missing")
class NotModified(WithModifier):
    def modified(self, logits):
        return logits


class ModifiedElsewhere(WithModifier):
    """The modifier is not applied where it belongs."""

    def modified(self, logits):
        return logits

    def modify(self, scores):
        return super().modified(scores)


@mistake("score modifier before scale")
class ModifiedBeforeTheScale(ModifiedElsewhere):
    def possible(self):
        return self.request.get("score_model") is None

    def capped(self, scores):
        return super().capped(self.modify(self.raw / self.float(self.scale())) * self.float(self.scale()))


@mistake("score modifier before softcap")
class ModifiedBeforeTheCap(ModifiedElsewhere):
    def possible(self):
        return self.softcap is not None

    def capped(self, scores):
        return super().capped(self.modify(scores))


@mistake("score modifier before bias")
class ModifiedBeforeTheBias(ModifiedElsewhere):
    def possible(self):
        return self.bias() is not None or self.position("alibi")

    def capped(self, scores):
        return self.modify(super().capped(scores))


@mistake("score modifier after mask")
class ModifiedAfterTheMask(ModifiedElsewhere):
    def possible(self):
        return self.masks()

    def hidden(self, logits):
        return self.modify(super().hidden(logits))


class ByIndex(Kernel):
    """Index for position, in some of the formulas."""

    parts = ("modifier", "mask")

    def formula_places(self, part):
        places = super().formula_places(part)
        return places | {"p": np.arange(self.queries)[:, None]} if part in self.parts else places


@mistake("score modifier positions")
class ModifiedByIndex(ByIndex, WithModifier):
    parts = ("modifier",)


@mistake("score modifier positions")
class ModifiedAndMaskedByIndex(ByIndex, WithModifier):
    pass


class OtherHeads(Kernel):
    """Parameters, and h, of other heads."""

    def other(self, heads):
        return 0 * heads

    def parameters(self, formula):
        return {
            name: {"per_head": [value["per_head"][head] for head in self.other(np.arange(self.head_count))]}
            if isinstance(value, dict)
            else value
            for name, value in super().parameters(formula).items()
        }

    def formula_places(self, part):
        places = super().formula_places(part)
        return places | {"h": self.other(places["h"])}


class OtherGroups(OtherHeads):
    """Those of the head with the number of the key head."""

    def possible(self):
        return 1 < self.groups < self.head_count

    def other(self, heads):
        return heads // (self.head_count // self.groups)


@mistake("score modifier sign")
class TakenAwayForAdded(WithModifier):
    def possible(self):
        return re.match(r"score [+-]", self.request["score_modifier"]["formula"])

    def modified(self, logits):
        added = super().modified(logits) - np.where(np.isneginf(logits), 0, logits)
        return np.where(np.isneginf(logits), logits, logits - added)


@mistake("score modifier heads")
class ModifiedByTheFirstHead(OtherHeads, WithModifier):
    pass


@mistake("score modifier heads")
class ModifiedByTheKeyHead(OtherGroups, WithModifier):
    pass


@mistake("mask formula transposed")
class QueriesForKeys(WithMaskFormula):
    def formula(self, text):
        exchanged = {"p": "j", "i": "j", "j": "p" if re.search(r"\bp\b", text) else "i"}
        return super().formula(re.sub(r"\b[pij]\b", lambda found: exchanged[found[0]], text))


@mistake("mask formula missing")
class FormulaHidesNothing(WithMaskFormula):
    def masks(self):
        return {name: mask for name, mask in super().masks().items() if name != "formula"}


@mistake("mask formula inverted")
class FormulaMeansMasked(WithMaskFormula):
    def formula(self, text):
        return super().formula(f"not ({text})")


@mistake("mask formula off by one")
class EdgesOfTheOtherStrictness(WithMaskFormula):
    def formula(self, text):
        return super().formula(re.sub("(<|>)(=?)", lambda found: found[1] + ("" if found[2] else "="), text))


@mistake("mask formula off by one")
class FirstEdgeOneFurther(WithMaskFormula):
    def formula(self, text):
        return super().formula(re.sub("<= p", "<= p + 1", text))


@mistake("mask formula off by one")
class EdgeOfTheFirstKeyLowered(WithMaskFormula):
    def formula(self, text):
        return super().formula(re.sub("j < 1", "j < 0", text))


@mistake("mask formula positions")
class FormulaOfIndices(ByIndex, WithMaskFormula):
    parts = ("mask",)


@mistake("mask formula heads")
class FormulaOfTheFirstHead(OtherHeads, WithMaskFormula):
    pass


@mistake("mask formula heads")
class FormulaOfTheKeyHead(OtherGroups, WithMaskFormula):
    pass


@mistake("q and k swapped in the formula")
class ArgumentsSwapped(Kernel):
    takes_formulas = True

    def fits(self):
        return (self.request.get("score_model") or {}).get("name") == "expression"

    def product(self, query, key):
        return super().product(key, query).swapaxes(-1, -2)


@mistake("another factor of the formula")
class FactorOfTheFormulaLeftOut(Kernel):
    takes_formulas = True

    def fits(self):
        return (self.request.get("score_model") or {}).get("name") == "expression"

    def product(self, query, key):
        return super().product(query, key) * self.float(1.7)
