"""Wrong scales, caps and biases."""

import math

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


@mistake("scale missing")
class NoScale(Kernel):
    def scale(self):
        return 1


@mistake("scale doubled")
class ScaleOnQueriesAndScores(Kernel):
    def product(self, query, key):
        return super().product(query * self.float(self.scale()), key)


@mistake("scale doubled")
class ScaleTimesTwo(Kernel):
    def scale(self):
        return 2 * super().scale()


@mistake("scale inverted")
class TimesTheRoot(Kernel):
    def scale(self):
        return 1 / super().scale()


@mistake("scale of the model size")
class ScaleOfAllHeads(Kernel):
    def possible(self):
        return self.head_count

    def scale(self):
        return 1 / math.sqrt(self.features * max(1, self.head_count))


@mistake("scale of the number of heads")
class ScaleOfTheNumberOfHeads(Kernel):
    def possible(self):
        return self.head_count

    def scale(self):
        return 1 / math.sqrt(max(1, self.head_count))


@mistake("another scale")
class AConstantForTheScale(Kernel):
    def scale(self):
        return 0.27


@mistake("scale ignored")
class OwnScaleUnused(Kernel):
    def scale(self):
        return self.features**-0.5


@mistake("softcap after mask")
class CapAfterMask(Kernel):
    def possible(self):
        return self.softcap

    def capped(self, scores):
        return scores

    def hidden(self, logits):
        return self.cap(super().hidden(logits))


@mistake("softcap after mask")
class CapAfterLargeNegative(CapAfterMask):
    def capped(self, scores):
        return scores

    def hidden(self, logits):
        return self.cap(np.where(self.visible(), np.maximum(logits, -1e9), self.float(-1e9)))


@mistake("softcap after mask")
class CapAfterBias(Kernel):
    def possible(self):
        return self.softcap

    def capped(self, scores):
        return scores

    def biased(self, logits):
        biased = super().biased(logits)
        return np.where(np.isneginf(biased), biased, self.cap(biased))


@mistake("softcap before scale")
class CapBeforeScale(Kernel):
    def possible(self):
        return self.softcap

    def capped(self, scores):
        scale = self.float(self.scale())
        return self.cap(scores / scale) * scale


@mistake("softcap missing")
class NoCap(Kernel):
    def capped(self, scores):
        return scores


@mistake("softcap formula")
class ScoreTimesTheTangent(Kernel):
    def cap(self, numbers):
        return numbers * np.tanh(numbers / self.float(self.softcap))


@mistake("softcap formula")
class CapNotMultiplied(Kernel):
    def cap(self, numbers):
        return np.tanh(numbers / self.float(self.softcap))


@mistake("softcap formula")
class CapNotDivided(Kernel):
    def cap(self, numbers):
        return self.float(self.softcap) * np.tanh(numbers)


@mistake("softcap formula")
class CutOffAtTheCap(Kernel):
    def cap(self, numbers):
        return np.clip(numbers, -self.float(self.softcap), self.float(self.softcap))


@mistake("bias sign")
class BiasTakenOff(Kernel):
    def bias(self):
        bias = super().bias()
        return None if bias is None else -bias


@mistake("bias transposed")
class KeysByQueriesOfBias(Kernel):
    def possible(self):
        return self.queries == self.keys and super().bias() is not None

    def bias(self):
        return super().bias().swapaxes(-1, -2)


@mistake("bias missing")
class NoBias(Kernel):
    def bias(self):
        return None


@mistake("bias scaled")
class BiasBeforeScale(Kernel):
    def bias(self):
        return None if super().bias() is None else super().bias() * self.float(self.scale())


@mistake("bias scaled")
class SlopesBeforeScale(Kernel):
    def sloped(self):
        return super().sloped() * self.float(self.scale())
