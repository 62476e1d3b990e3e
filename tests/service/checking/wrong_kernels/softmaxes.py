"""Wrong denominators, bases and axes; rows that see nothing."""

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


@mistake("temperature ignored")
class NoTemperature(Kernel):
    def __init__(self, request):
        super().__init__(request)
        self.temperature = self.float(1)


@mistake("temperature ignored")
class TimesTemperature(Kernel):
    def __init__(self, request):
        super().__init__(request)
        self.temperature = 1 / self.temperature


@mistake("sink missing")
class NoSink(Kernel):
    def __init__(self, request):
        super().__init__(request)
        self.sink = None


@mistake("sink missing", "logsumexp")
class NoSinkInTheLogarithm(Kernel):
    def normalized(self, logits):
        weights, _ = super().normalized(logits)
        return weights, NoSink(self.request).normalized(logits)[1]


@mistake("sink not shifted by the maximum")
class SinkAsItIs(Kernel):
    def powers(self, exponents):
        largest = exponents.max(-1, keepdims=True)
        largest = np.where(np.isneginf(largest), self.float(0), largest)
        powers = np.exp(exponents - largest)
        return powers, powers.sum(-1, keepdims=True) + np.exp(self.sinks()), largest


@mistake("sink added")
class OneInTheShiftedDenominator(Kernel):
    def possible(self):
        return self.sink is None

    def powers(self, exponents):
        powers, total, largest = super().powers(exponents)
        return powers, total + 1, largest


@mistake("sink added")
class SinkOfZero(Kernel):
    def possible(self):
        return self.sink is None

    def sinks(self):
        return self.float(0)


@mistake("softmax twice")
class WeightsNormalizedAgain(Kernel):
    def normalized(self, logits):
        weights, logsumexp = super().normalized(logits)
        powers = np.where(self.visible() & ~np.isneginf(logits), np.exp(weights), 0)
        with np.errstate(all="ignore"):
            return np.nan_to_num(powers / powers.sum(-1, keepdims=True)), logsumexp


@mistake("base-2 logsumexp", "logsumexp")
class LogarithmToBaseTwo(Kernel):
    def normalized(self, logits):
        weights, logsumexp = super().normalized(logits)
        return weights, logsumexp * np.log2(np.e)


@mistake("logsumexp without the maximum", "logsumexp")
class LogarithmWithoutMaximum(Kernel):
    def normalized(self, logits):
        powers, total, _ = self.powers(logits / self.temperature)
        with np.errstate(all="ignore"):
            return np.where(total == 0, 0, powers / total), np.log(total)[..., 0]


@mistake("base-2 softmax")
class TwoForE(Kernel):
    def powers(self, exponents):
        largest = np.maximum(exponents.max(-1, keepdims=True), self.sinks())
        largest = np.where(np.isneginf(largest), self.float(0), largest)
        powers = np.exp2(exponents - largest)
        total = powers.sum(-1, keepdims=True) + np.exp2(self.sinks() - largest)
        return powers, total, largest * np.log(self.float(2))


@mistake("base-2 softmax")
class TwoForEThroughout(TwoForE):
    def normalized(self, logits):
        weights, logsumexp = super().normalized(logits)
        return weights, logsumexp / np.log(self.float(2))


@mistake("denominator missing")
class NotDivided(Kernel):
    def normalized(self, logits):
        exponents = logits / self.temperature
        largest = exponents.max(-1, keepdims=True)
        powers = np.exp(exponents - np.where(np.isneginf(largest), self.float(0), largest))
        return powers, super().normalized(logits)[1]


@mistake("denominator missing")
class NotDividedNorShifted(Kernel):
    def possible(self):
        # exp(z) of a large z is not exact to float32's own tolerance when z has been rounded to float32.
        return np.abs(self.raw).max() < 20 and self.dtype != "float32"

    def normalized(self, logits):
        return np.exp(logits / self.temperature), super().normalized(logits)[1]


class OverAnotherAxis(Kernel):
    axis = -2

    def normalized(self, logits):
        exponents = logits / self.temperature
        largest = exponents.max(self.axis, keepdims=True)
        powers = np.exp(exponents - np.where(np.isneginf(largest), self.float(0), largest))
        with np.errstate(all="ignore"):
            weights = powers / powers.sum(self.axis, keepdims=True)
        return self.guarded(weights), super().normalized(logits)[1]

    def guarded(self, weights):
        return np.nan_to_num(weights, nan=0)


@mistake("softmax over the wrong axis")
class OverQueries(OverAnotherAxis):
    pass


@mistake("softmax over the wrong axis")
class OverQueriesUnguarded(OverAnotherAxis):
    def guarded(self, weights):
        return weights


@mistake("softmax over the wrong axis")
class OverQueriesWithItsLogarithm(OverAnotherAxis):
    def possible(self):
        return self.queries == self.keys and self.sink is None

    def normalized(self, logits):
        weights, _ = super().normalized(logits)
        return weights, Kernel.normalized(self, logits.swapaxes(-1, -2))[1]


@mistake("softmax over the wrong axis")
class OverHeads(OverAnotherAxis):
    axis = -3

    def possible(self):
        return self.head_count


@mistake("softmax over the wrong axis")
class OverTheBatch(OverAnotherAxis):
    axis = 0

    def possible(self):
        return len(self.shape) == 3


@mistake("maximum not subtracted")
class NotShifted(Kernel):
    def possible(self):
        return np.abs(self.raw).max() > np.log(np.finfo(self.float).max)

    def powers(self, exponents):
        with np.errstate(all="ignore"):
            powers = np.exp(exponents)
            return powers, powers.sum(-1, keepdims=True) + np.exp(self.sinks()), self.float(0)

    def normalized(self, logits):
        powers, total, _ = self.powers(logits / self.temperature)
        with np.errstate(all="ignore"):
            return powers / total, np.log(total)[..., 0]


@mistake("rows without a visible key are NaN")
class ZeroByZero(Kernel):
    def possible(self):
        return self.sink is None

    def normalized(self, logits):
        with np.errstate(all="ignore"):
            exponents = logits / self.temperature
            largest = exponents.max(-1, keepdims=True)
            powers = np.exp(exponents - largest)
            total = powers.sum(-1, keepdims=True)
            return powers / total, (np.log(total) + largest)[..., 0]


class LargeNegative(Kernel):
    large = -1e9

    def normalized(self, logits):
        return Kernel.normalized(self, np.where(np.isneginf(logits), self.float(self.large), logits))


@mistake("large negative number instead of minus infinity")
class LargeNegativeSelected(LargeNegative):
    pass


@mistake("large negative number instead of minus infinity")
class SmallerNegativeSelected(LargeNegative):
    large = -1e4


@mistake("large negative number instead of minus infinity")
class LargeNegativeAdded(Kernel):
    def hidden(self, logits):
        hidden = np.isneginf(logits) | ~self.visible()
        return np.where(np.isneginf(logits), self.raw, logits) + np.where(hidden, self.float(-1e4), self.float(0))
