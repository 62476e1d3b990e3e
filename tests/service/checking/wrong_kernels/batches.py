"""Batch rows that are taken for one another, or for one."""

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


class InBatches(Kernel):
    def possible(self):
        return len(self.shape) > 2 and self.shape[0] > 1


@mistake("weights of the wrong batch row", "output")
class ValuesOfTheRowBefore(InBatches):
    def inputs(self):
        query, key, value = super().inputs()
        return query, key, np.roll(value, 1, axis=0)


@mistake("weights of the wrong batch row", "output")
class FirstValuesForAll(InBatches):
    def inputs(self):
        query, key, value = super().inputs()
        return query, key, np.broadcast_to(value[:1], value.shape)


@mistake("weights of the wrong batch row")
class KeysOfTheRowBefore(InBatches):
    def inputs(self):
        query, key, value = super().inputs()
        return query, np.roll(key, 1, axis=0), value


@mistake("weights of the wrong batch row", "output")
class WeightsOfTheRowBefore(InBatches):
    together = ("output", "logsumexp")

    def possible(self):
        return super().possible() and self.request.keys() <= {"query", "key", "value", "dtype", "heads", "softcap"}

    def finished(self, weights):
        return self.moved(weights)

    def moved(self, weights):
        return np.roll(weights, 1, axis=0)


@mistake("weights of the wrong batch row", "output")
class WeightsOfTheRowAfter(WeightsOfTheRowBefore):
    def moved(self, weights):
        return np.roll(weights, -1, axis=0)


@mistake("weights of the wrong batch row")
class WeightsOfTheSecondRowForAll(WeightsOfTheRowBefore):
    def moved(self, weights):
        return np.broadcast_to(weights[1], weights.shape)


@mistake("weights of the wrong batch row")
class WeightsOfTheFirstRowForAll(WeightsOfTheRowBefore):
    def moved(self, weights):
        return np.broadcast_to(weights[0], weights.shape)


@mistake("mask of the wrong batch row")
class LengthsOfTheRowBefore(InBatches):
    def within(self, lengths):
        return super().within(np.roll(lengths, 1, axis=0))


@mistake("mask of the wrong batch row")
class LengthsTiledOverHeads(InBatches):
    def possible(self):
        return super().possible() and self.head_count > 1

    def within(self, lengths):
        batch, heads = self.shape[:2]
        tiled = np.tile(lengths.ravel(), heads).reshape(batch, heads, 1, 1)
        return super().within(tiled)


@mistake("mask of the wrong batch row")
class AllowedOfTheRowBefore(InBatches):
    def allowed(self):
        allowed = super().allowed()
        return np.roll(allowed, 1, axis=0) if allowed.ndim == len(self.shape) else allowed


@mistake("one position for all batch rows")
class PositionOfTheFirstRow(InBatches):
    def offset(self):
        offset = np.asarray(super().offset())
        return offset.ravel()[0]


@mistake("one position for all batch rows")
class PositionOfTheLongestRow(InBatches):
    def offset(self):
        return np.max(super().offset())


@mistake("one position for all batch rows")
class DiagonalOfTheLastRow(InBatches):
    def diagonal(self):
        positions = self.positions()
        return positions[-1:] if positions.ndim == len(self.shape) else positions


@mistake("one position for all batch rows")
class TurnedAsTheFirstRow(InBatches):
    def possible(self):
        return super().possible() and self.own_positions("query") is None

    def turned_query(self, query):
        return self.turned(query, np.arange(self.queries) + np.ravel(self.offset())[0])


@mistake("one position for all batch rows")
class LongestLengthForAll(InBatches):
    def within(self, lengths):
        return super().within(np.max(lengths))


@mistake("one position for all batch rows")
class LengthOfTheLastRowForAll(InBatches):
    def within(self, lengths):
        return super().within(np.ravel(lengths)[-1])
