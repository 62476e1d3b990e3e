"""What should be hidden is seen, and what should be seen is hidden."""

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


class OtherCorner(Kernel):
    def possible(self):
        # Positions that are given have no corner.
        return "positions" not in self.request


@mistake("causal corner")
class BottomRightForTopLeft(OtherCorner):
    def diagonal(self):
        return np.arange(self.queries)[:, None] + self.keys - self.queries


@mistake("causal corner")
class TopLeftForBottomRight(OtherCorner):
    def diagonal(self):
        return np.arange(self.queries)[:, None]


@mistake("causal corner")
class BottomRightOfThePadding(Kernel):
    def possible(self):
        return "key_lengths" in self.mask

    def diagonal(self):
        return np.arange(self.queries)[:, None] + self.per_batch(self.mask["key_lengths"]) - self.queries


@mistake("causal corner")
class AllPositionsFromTheOtherCorner(Kernel):
    def possible(self):
        return "causal" in self.mask

    def offset(self):
        return self.keys - self.queries


@mistake("causal off by one")
class NotItself(Kernel):
    def causal(self):
        return self.key_positions() < self.diagonal()


@mistake("causal off by one")
class OneOfTheFuture(Kernel):
    def causal(self):
        return self.key_positions() <= self.diagonal() + 1


@mistake("prefix ignored")
class NoPrefix(Kernel):
    def in_prefix(self):
        return np.zeros((1, 1), bool)


class WrongWindow(Kernel):
    left, right = 0, 0

    def windowed(self, left, right):
        return super().windowed(
            None if left is None else left + self.left, None if right is None else right + self.right
        )


@mistake("window off by one")
class WindowWithoutItsLeftEnd(WrongWindow):
    left = -1


@mistake("window off by one")
class WindowOneMoreToTheLeft(WrongWindow):
    left = 1


@mistake("window off by one")
class WindowWithoutItsRightEnd(WrongWindow):
    right = -1


@mistake("window off by one")
class WindowWithoutItsEnds(WrongWindow):
    left = right = -1


@mistake("window off by one")
class WindowOneWider(WrongWindow):
    left = right = 1


@mistake("window off by one")
class WindowOneToTheLeft(WrongWindow):
    left, right = 1, -1


@mistake("window off by one")
class WindowOneToTheRight(WrongWindow):
    left, right = -1, 1


@mistake("key lengths off by one")
class PaddingLetIn(Kernel):
    def within(self, lengths):
        return np.arange(self.keys) <= lengths


@mistake("key lengths off by one")
class LastKeyLeftOut(Kernel):
    def within(self, lengths):
        return np.arange(self.keys) < lengths - 1


@mistake("mask inverted")
class AllowedMeansMasked(Kernel):
    def allowed(self):
        return ~super().allowed()


@mistake("mask inverted")
class HiddenForVisible(Kernel):
    def possible(self):
        return self.masks()

    def visible(self):
        return ~super().visible()


@mistake("mask inverted")
class UpperTriangle(Kernel):
    def causal(self):
        return self.key_positions() >= self.diagonal()


@mistake("mask inverted")
class StrictUpperTriangle(Kernel):
    def causal(self):
        return self.key_positions() > self.diagonal()


@mistake("mask transposed")
class AllowedTransposed(Kernel):
    def possible(self):
        return self.queries == self.keys

    def allowed(self):
        return super().allowed().swapaxes(-1, -2)


@mistake("mask transposed")
class LengthsOverQueries(Kernel):
    def possible(self):
        return self.queries == self.keys

    def within(self, lengths):
        return super().within(lengths).swapaxes(-1, -2)


@mistake("mask missing")
class NothingHidden(Kernel):
    def masks(self):
        return {}


class WithoutOneMask(Kernel):
    left_out = ""

    def masks(self):
        return {name: mask for name, mask in super().masks().items() if name != self.left_out}


@mistake("mask missing")
class NotCausal(WithoutOneMask):
    left_out = "causal"


@mistake("mask missing")
class NoWindow(WithoutOneMask):
    left_out = "window"


@mistake("mask missing")
class NoLengths(WithoutOneMask):
    left_out = "key_lengths"


@mistake("mask missing")
class NotOnlyAllowed(WithoutOneMask):
    left_out = "allowed"


@mistake("mask after softmax")
class MaskedAfterwards(Kernel):
    def hidden(self, logits):
        return logits

    def finished(self, weights):
        return weights * self.visible()


@mistake("masked scores set to zero")
class TimesTheMask(Kernel):
    def hidden(self, logits):
        return np.where(self.visible(), logits, self.float(0))


@mistake("mask added as 0 and 1")
class OneAddedWhereVisible(Kernel):
    def possible(self):
        return self.masks()

    def hidden(self, logits):
        return logits + self.visible().astype(self.float)


@mistake("mask added as 0 and 1")
class OneAddedWhereHidden(Kernel):
    def possible(self):
        return self.masks()

    def hidden(self, logits):
        return logits + (~self.visible()).astype(self.float)


@mistake("past keys ignored")
class NoCache(Kernel):
    def masks(self):
        return super().masks() | {"past": np.arange(self.keys) >= self.past}


@mistake("past and new keys swapped")
class NewBeforePast(Kernel):
    def cached(self, past, new):
        return np.concatenate([new, past], axis=-2)
