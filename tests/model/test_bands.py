"""By bands of rows, however high they are, the network gives what it gives for the whole image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvmsr import NetworkConfig
from dvmsr.kernels import using
from dvmsr.model import DVMSR, bands

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SMALL = NetworkConfig(scale=2, channels=8, blocks=2, vimms_per_block=1, state_size=3)

configs = st.builds(
    NetworkConfig,
    scale=st.sampled_from([2, 3, 4]),
    channels=st.integers(3, 12),
    blocks=st.integers(1, 3),
    vimms_per_block=st.integers(1, 2),
    state_size=st.integers(1, 5),
    expansion=st.integers(1, 2),
    conv_width=st.integers(1, 5),
    vimm_residual=st.booleans(),
)


def by_bands(network, image, heights, *, one_by_one=False):
    """Bands of these heights, the rest of the rows in the last one; the output of each.

    Then the convolutions end, at once or one by one.
    """
    state, outputs, top = bands.start(network, image.shape[3]), [], 0
    all_end = bands.all_end(network.config)
    for height in heights:
        band = image[:, :, top : top + height]
        output, state = bands.advance(network, band, state, bands.GOES_ON)
        outputs.append(output)
        top += band.shape[2]
    if one_by_one:
        output, state = bands.advance(network, image[:, :, top:], state, bands.GOES_ON)
        outputs.append(output)
        for i in all_end:
            output, state = bands.advance(network, image[:, :, :0], state, range(i, i + 1))
            outputs.append(output)
    else:
        outputs.append(bands.advance(network, image[:, :, top:], state, all_end)[0])
    return outputs


@settings(max_examples=60, deadline=None)
@given(
    config=configs,
    height=st.integers(1, 14),
    width=st.integers(1, 6),
    heights=st.lists(st.integers(0, 5), max_size=14),
    one_by_one=st.booleans(),
)
def test_any_bands_of_any_network(make_weights, config, height, width, heights, one_by_one):
    """In float64, so that nothing but the rounding of floats can hide."""
    network = DVMSR.from_weights(make_weights(config)).double()
    image = torch.rand(1, 3, height, width, dtype=torch.float64)
    with using("reference"), torch.no_grad():
        whole = network(image)
        got = torch.cat(by_bands(network, image, heights, one_by_one=one_by_one), dim=2)
    assert got.shape == whole.shape
    # LayerNorm over few channels that nearly agree amplifies rounding.
    assert (got - whole).abs().max() <= 1e-7 * whole.abs().max()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (3, 4), (20, 5)])
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_the_student(make_weights, residual, height, width, rows):
    network = DVMSR.from_weights(make_weights(NetworkConfig(vimm_residual=residual)))
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        whole = network(image)
        got = torch.cat(by_bands(network, image, [rows] * (height // rows)), dim=2)
    assert (got - whole).abs().max() <= 1e-4 * whole.abs().max()


def test_rows_come_out_as_soon_as_the_halo_allows(make_weights):
    network = DVMSR.from_weights(make_weights(SMALL))
    with torch.no_grad():
        outputs = by_bands(network, torch.rand(1, 3, 20, 3), [1] * 20)
    late = bands.lag(SMALL)
    assert late == 5
    assert [output.shape[2] // 2 for output in outputs] == [0] * late + [1] * (20 - late) + [late]


def test_in_bfloat16(make_weights):
    """Under autocast the bands are as near to float32 as the whole image is, and as far from it."""
    network = DVMSR.from_weights(make_weights(NetworkConfig(blocks=2)))
    image = torch.rand(1, 3, 16, 8)
    # The native kernels stay in float32.
    with using("reference"), torch.no_grad():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            whole = network(image)
            got = torch.cat(by_bands(network, image, [3, 1, 5]), dim=2)
    assert got.dtype == torch.float32
    error, error_of_whole = ((x - exact).square().mean().sqrt() for x in (got, whole))
    assert 0.5 * error_of_whole < error < 2 * error_of_whole


def test_a_band_changes_nothing_that_it_is_given(make_weights):
    """What going on after a band that failed rests on."""
    network = DVMSR.from_weights(make_weights(SMALL))
    image = torch.rand(1, 3, 12, 4)
    with torch.no_grad():
        _, state = bands.advance(network, image[:, :, :8], bands.start(network, 4), bands.GOES_ON)
        kept = bands.map_state(torch.clone, state)
        first, _ = bands.advance(network, image[:, :, 8:], state, bands.all_end(SMALL))
        bands.map_state(lambda x, y: torch.testing.assert_close(x, y, rtol=0, atol=0), state, kept)
        again, _ = bands.advance(network, image[:, :, 8:], state, bands.all_end(SMALL))
    assert torch.equal(first, again)


def test_a_state_holds_no_band_in_memory(make_weights):
    network = DVMSR.from_weights(make_weights(SMALL))
    sizes = []
    for rows in (8, 32):
        with torch.no_grad():
            _, state = bands.advance(
                network, torch.rand(1, 3, rows, 4), bands.start(network, 4), bands.GOES_ON
            )
        memory = []
        bands.map_state(lambda x: memory.append(x.untyped_storage().nbytes()), state)  # noqa: B023 - called here
        sizes.append(sum(memory))
    assert sizes[0] == sizes[1]
