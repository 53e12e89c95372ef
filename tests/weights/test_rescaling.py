from __future__ import annotations

import numpy as np
import pytest

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.engine import Engine
from dvmsr.weights import rescale_weights


@pytest.mark.parametrize(("before", "after"), [(4, 2), (4, 3), (3, 4), (2, 4)])
def test_the_output_is_that_of_before_by_area(make_weights, before, after):
    """Compared where both scales' pixels end: there the means over both have to agree."""
    weights = make_weights(NetworkConfig(scale=before, channels=12, blocks=1, vimms_per_block=1))
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)

    def fine(of, scale):
        output = Engine(of).stream(7, np.float32, 1).push(image, last=True)
        # Twelfths of an input's pixel.
        return output.repeat(12 // scale, axis=0).repeat(12 // scale, axis=1)

    new = rescale_weights(weights, after)
    assert new.config.scale == after
    side = 12 // after
    blocks = fine(weights, before).reshape(5 * after, side, 7 * after, side, 3).mean(axis=(1, 3))
    found = fine(new, after)[::side, ::side]
    np.testing.assert_allclose(found, blocks, atol=1e-5)


def test_the_trunk_and_the_same_scale_stay(make_weights):
    weights = make_weights(NetworkConfig(channels=12, blocks=1, vimms_per_block=1))
    same = rescale_weights(weights, 4)
    other = rescale_weights(weights, 2)
    for name, array in weights.parameters.items():
        assert np.array_equal(same.parameters[name], array)
        assert name.startswith("reconstruct") or other.parameters[name] is array
    with pytest.raises(ArgumentError, match="scale"):
        rescale_weights(weights, 5)
