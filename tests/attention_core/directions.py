"""One generic check for every gradient: a random direction against central differences in float64."""

import numpy as np

STEP = 1e-6


def assert_gradient(function, arguments, gradients, rng, tolerance=1e-7):
    """Fail unless Σ gradient·direction equals the central difference of `function` along random directions.

    `function` maps a dict of arrays to a number; `gradients` holds one array per argument of the same shape.
    """
    assert set(gradients) == set(arguments)
    for name, point in arguments.items():
        assert np.shape(gradients[name]) == np.shape(point), name
        direction = rng.standard_normal(np.shape(point))
        ahead = function(arguments | {name: point + STEP * direction})
        behind = function(arguments | {name: point - STEP * direction})
        slope = (ahead - behind) / (2 * STEP)
        promised = np.sum(gradients[name] * direction)
        assert abs(slope - promised) <= tolerance * max(1, abs(slope)), (name, slope, promised)
