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


@mistake("rotary dims")
class AllFeatures(Kernel):
    def rotary_dims(self):
        return self.features


@mistake("rotary dims")
class LastFeatures(Kernel):
    def rotary_features(self):
        return slice(self.features - self.rotary_dims(), None)


@mistake("rotary dims")
class AnglesOfAllFeatures(Kernel):
    def possible(self):
        return (self.position("rotary") or {}).get("dims") and not self.rotary_scaling()

    def rotary_angles(self, half):
        steps, length = super().rotary_angles(self.features // 2)
        return steps[:half], length


@mistake("rotary scaling")
class NotScaled(Kernel):
    def rotary_scaling(self):
        return {}


@mistake("rotary scaling")
class LinearForAll(Kernel):
    def possible(self):
        return (self.position("rotary") or {}).get("scaling")

    def rotary_scaling(self):
        scaling = super().rotary_scaling()
        return scaling and {"kind": "linear", "factor": scaling["factor"]}


@mistake("rotary scaling")
class NtkForAll(LinearForAll):
    def rotary_scaling(self):
        scaling = super().rotary_scaling()
        return scaling and scaling | {"kind": "ntk"}


@mistake("rotary attention factor")
class NoAttentionFactor(Kernel):
    def rotary_angles(self, half):
        return super().rotary_angles(half)[0], 1.0


@mistake("rotary attention factor")
class AttentionFactorOfQueriesAlone(Kernel):
    def turned_key(self, key):
        length = self.rotary_angles(self.rotary_dims() // 2)[1] if self.position("rotary") else 1.0
        turned = super().turned_key(key)
        turned[..., self.rotary_features() if self.position("rotary") else slice(0, 0)] /= self.float(length)
        return turned


@mistake("positions ignored")
class NoPositions(Kernel):
    def own_positions(self, side):
        return None


@mistake("positions ignored")
class NoPositionsOfKeys(Kernel):
    def own_positions(self, side):
        return None if side == "key" else super().own_positions(side)
