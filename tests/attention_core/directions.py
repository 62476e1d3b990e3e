"""Check gradients along random directions against central differences in float64."""

import numpy as np

DIFFERENCE_STEP = 1e-6
"""Step of central differences, along a direction of standard normal numbers."""


def assert_gradient(function, arguments, gradients, rng, tolerance=1e-7):
    """Fail unless Σ gradient·direction equals the central difference of a function along a random direction.

    :param function: maps arguments by name to a number.
    :param arguments: arrays by name.
    :param gradients: the gradient of each argument, in its shape.
    :param rng: draws the directions.
    :param tolerance: relative to the difference, absolute below 1.
    """
    assert set(gradients) == set(arguments)
    for name, point in arguments.items():
        assert np.shape(gradients[name]) == np.shape(point), name
        direction = rng.standard_normal(np.shape(point))
        ahead = function(arguments | {name: point + DIFFERENCE_STEP * direction})
        behind = function(arguments | {name: point - DIFFERENCE_STEP * direction})
        slope = (ahead - behind) / (2 * DIFFERENCE_STEP)
        promised = np.sum(gradients[name] * direction)
        assert abs(slope - promised) <= tolerance * max(1, abs(slope)), (name, slope, promised)
