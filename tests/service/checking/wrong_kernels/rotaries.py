"""Wrong rotary embeddings."""

import numpy as np

from tests.service.checking.kernels import Kernel, mistake


@mistake("rotary pairing")
class OtherPairs(Kernel):
    def pairs(self, half, interleaved):
        return super().pairs(half, not interleaved)


@mistake("rotary base")
class UsualBase(Kernel):
    def rotary_base(self):
        return 10000.0


class Mixed(Kernel):
    flipped = False

    def possible(self):
        return self.position("rotary")

    def pairs(self, half, interleaved):
        return super().pairs(half, bool(interleaved) != self.flipped)


@mistake("rotary pairings mixed")
class QueriesInOtherPairs(Mixed):
    def turned_query(self, query):
        self.flipped = True
        turned = super().turned_query(query)
        self.flipped = False
        return turned


@mistake("rotary pairings mixed")
class KeysInOtherPairs(Mixed):
    def turned_key(self, key):
        self.flipped = True
        return super().turned_key(key)


@mistake("rotary pairings mixed")
class AnglesOfTheOtherLayout(Kernel):
    """rotate_half(x) · sin with each angle twice in a row, or neighbours turned with the angles one after the other."""

    def possible(self):
        return self.position("rotary")

    def in_pairs(self, vectors, angles, interleaved):
        own = np.concatenate([angles, angles], axis=-1) if interleaved else np.repeat(angles, 2, axis=-1)
        first, second = self.pairs(vectors.shape[-1] // 2, interleaved)
        rotated = np.empty_like(vectors)
        rotated[..., first], rotated[..., second] = -vectors[..., second], vectors[..., first]
        return vectors * np.cos(own).astype(self.float) + rotated * np.sin(own).astype(self.float)


@mistake("rotary on one side")
class OnlyQueriesTurned(Kernel):
    def turned_key(self, key):
        return key


@mistake("rotary on one side")
class OnlyKeysTurned(Kernel):
    def turned_query(self, query):
        return query


@mistake("rotary direction")
class TurnedBackwards(Kernel):
    def in_pairs(self, vectors, angles, interleaved):
        return super().in_pairs(vectors, -angles, interleaved)
