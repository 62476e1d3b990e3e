"""Wrong heads, positions and caches; results in another place."""

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


@mistake("heads tiled instead of interleaved")
class Tiled(Kernel):
    def shared(self, heads, count, shared):
        return heads % shared


@mistake("heads grouped wrongly")
class DividedByTheWrongNumber(Kernel):
    def possible(self):
        return self.groups and self.head_count <= self.groups**2

    def shared(self, heads, count, shared):
        return heads // shared


@mistake("heads grouped wrongly")
class FirstKeyHead(Kernel):
    def shared(self, heads, count, shared):
        return heads * 0


class SplitByReshaping(Kernel):
    def possible(self):
        return self.heads

    def split(self, packed, heads):
        batch, length, features = packed.shape
        return packed.reshape(batch, heads, length, features // heads)


class JoinedByReshaping(Kernel):
    def possible(self):
        return self.heads

    def written(self, output):
        batch, heads, length, features = output.shape
        return output.reshape(batch, length, heads * features)


@mistake("heads reshaped without transposing")
class ReshapedIn(SplitByReshaping):
    pass


@mistake("heads reshaped without transposing", "output")
class ReshapedOut(JoinedByReshaping):
    pass


@mistake("heads reshaped without transposing")
class ReshapedInAndOut(SplitByReshaping, JoinedByReshaping):
    pass


@mistake("heads and lengths swapped", "output")
class HeadsReadAsLengths(Kernel):
    """Without the masks, which have another shape; weights have one as well, so that the output alone is sent."""

    together = ("output",)

    def fits(self):
        query, key = (np.shape(self.request[name]) for name in ("query", "key"))
        plain = self.request.keys() <= {"query", "key", "value", "dtype", "score_model", "softcap", "mask", "bias"}
        return plain and len(query) == 4 and query == key

    def inputs(self):
        return tuple(array.swapaxes(1, 2) for array in super().inputs())

    def bias(self):
        return None

    def masks(self):
        return {}

    def written(self, output):
        return output.swapaxes(1, 2)


@mistake("layout mistaken", "output")
class LengthsReadAsHeads(HeadsReadAsLengths):
    """The same of vectors that are sent as (batch, length, heads, features)."""

    takes_by_length = True

    def fits(self):
        allowed = {"query", "key", "value", "dtype", "score_model", "softcap", "mask", "bias", "layout"}
        return self.by_length and self.request.keys() <= allowed

    def written(self, output):
        return output


class OtherInputs(Kernel):
    def fits(self):
        return np.shape(self.request["key"]) == np.shape(self.request["value"])


@mistake("query, key and value swapped")
class KeysAndValuesSwapped(OtherInputs):
    def inputs(self):
        query, key, value = super().inputs()
        return query, value, key


@mistake("query, key and value swapped", "output")
class KeysForValues(OtherInputs):
    def inputs(self):
        query, key, _ = super().inputs()
        return query, key, key


@mistake("query, key and value swapped")
class QueriesAndKeysSwapped(Kernel):
    def fits(self):
        return np.shape(self.request["query"]) == np.shape(self.request["key"]) and not self.past

    def inputs(self):
        query, key, value = super().inputs()
        return key, query, value


@mistake("alibi sign")
class SlopesAdded(Kernel):
    def sloped(self):
        return -super().sloped()


@mistake("alibi sign")
class WithoutTheAbsoluteValue(Kernel):
    def distances(self):
        return self.positions() - self.key_positions()


@mistake("alibi slopes")
class HeadsFromZero(Kernel):
    def slopes(self):
        heads = self.head_count or 1
        slopes = 2.0 ** (-8 * np.arange(heads) / heads)
        return slopes if self.head_count else slopes[0]


@mistake("alibi slopes")
class OneLadderForAnyNumber(Kernel):
    def possible(self):
        return self.head_count

    def slopes(self):
        return 2.0 ** (-8 * np.arange(1, self.head_count + 1) / self.head_count)


@mistake("alibi slopes")
class OwnSlopesUnused(Kernel):
    def slopes(self):
        return self.usual_slopes()


@mistake("positions from zero")
class TurnedFromZero(Kernel):
    def possible(self):
        return "positions" not in self.request

    def turned(self, vectors, places):
        return super().turned(vectors, np.arange(vectors.shape[-2]))


@mistake("positions from zero")
class SlopedFromZero(Kernel):
    def possible(self):
        return "positions" not in self.request

    def distances(self):
        return np.abs(np.arange(self.queries)[:, None] - np.arange(self.keys))


@mistake("position missing")
class NotTurned(Kernel):
    def turned(self, vectors, places):
        return vectors


@mistake("position missing")
class NotSloped(Kernel):
    def sloped(self):
        return 0


@mistake("scores not raw", "scores")
class ScoresAfterTheCap(Kernel):
    def reported(self, scores, capped, logits):
        return capped


@mistake("scores not raw", "scores")
class ScoresAfterTheMask(Kernel):
    def reported(self, scores, capped, logits):
        return logits


@mistake("scores not raw", "scores")
class ScoresAfterLargeNegatives(Kernel):
    def reported(self, scores, capped, logits):
        return np.where(np.isneginf(logits), self.float(-1e4), logits)


@mistake("dropout", "weights")
class DropoutStillOn(Kernel):
    def finished(self, weights):
        kept = np.random.default_rng(7).random(weights.shape) < 0.8
        return weights * kept / self.float(0.8)


@mistake("axes transposed", "weights", "scores")
class KeysByQueries(Kernel):
    def possible(self):
        return self.queries == self.keys

    def placed(self, fields):
        return fields | {name: fields[name].swapaxes(-1, -2) for name in ("weights", "scores")}


@mistake("axes transposed", "output")
class HeadsAndLengthsSwapped(Kernel):
    def possible(self):
        return self.head_count == self.queries

    def written(self, output):
        return output.swapaxes(-2, -3)


class Moved(Kernel):
    def moved(self, array, axis):
        return np.roll(array, 1, axis)

    def placed(self, fields):
        return {name: self.moved(array, -1 if name == "logsumexp" else -2) for name, array in fields.items()}


@mistake("rows in another order")
class RowsRolled(Moved):
    pass


@mistake("rows in another order")
class TwoRowsSwapped(Moved):
    def possible(self):
        return self.queries > 2

    def moved(self, array, axis):
        order = np.arange(array.shape[axis])
        order[[0, 2]] = order[[2, 0]]
        return np.take(array, order, axis)


@mistake("rows in another order")
class BatchRowsSwapped(Moved):
    def possible(self):
        return len(self.shape) > 2

    def moved(self, array, axis):
        return array[::-1]


@mistake("rows in another order")
class RowsOfOneBatchRowReversed(Moved):
    def possible(self):
        return len(self.shape) > 2 and not self.heads

    def moved(self, array, axis):
        turned = array.copy()
        turned[0] = np.flip(turned[0], axis)
        return turned
