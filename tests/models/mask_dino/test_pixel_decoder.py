"""The pixel decoder: sizes, and that the order of the levels is only an order."""

import pytest
import torch
from torch import Tensor

from fdam_mm.models import MaskDINOPixelDecoder

CHANNELS = (8, 12, 16, 20)
ENCODER = dict(num_layers=2, num_heads=4, num_points=2, feedforward_channels=24)


def make(num_levels: int, **settings: object) -> MaskDINOPixelDecoder:
    torch.manual_seed(0)
    decoder = MaskDINOPixelDecoder(
        CHANNELS, 32, 16, num_levels, encoder=ENCODER, num_groups=4, **settings
    )
    for parameter in decoder.parameters():  # offsets and weights that differ between levels
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder.eval()


def feats(height: int = 16, width: int = 24) -> list[Tensor]:
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in range(len(CHANNELS))]
    return [torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes, strict=True)]


@pytest.mark.parametrize(("num_levels", "num_inputs"), [(3, 3), (4, 3), (5, 4), (1, 1)])
@pytest.mark.parametrize("fine_first", [True, False])
@pytest.mark.parametrize("hw", [(16, 24), (13, 9)])
def test_sizes(num_levels: int, num_inputs: int, fine_first: bool, hw: tuple[int, int]) -> None:
    decoder = make(num_levels, num_encoder_inputs=num_inputs, fine_first=fine_first)
    maps = feats(*hw)
    mask_features, encoded = decoder(maps)
    assert mask_features.shape == (2, 16, *hw)
    assert len(encoded) == num_levels
    encoded = encoded if fine_first else encoded[::-1]
    for ours, theirs in zip(encoded, maps[-num_inputs:], strict=False):
        assert ours.shape == (2, 32, *theirs.shape[2:])


def reordered(state: dict[str, Tensor], num_levels: int) -> dict[str, Tensor]:
    """Weights of a decoder with the levels in the opposite order."""
    reordered = dict(state)
    for key, value in state.items():
        if "sampling_offsets" in key or "attention_weights" in key:
            sides = (4, num_levels, -1, *value.shape[1:])  # head, level, point and coordinate
            reordered[key] = value.view(sides).flip(1).reshape(value.shape)
        elif key == "level_embed":
            reordered[key] = value.flip(0)
        elif key.startswith("input_convs."):
            index, rest = key.split(".", 2)[1:]
            reordered[f"input_convs.{2 - int(index)}.{rest}"] = value
    return reordered


@pytest.mark.parametrize("num_levels", [3, 4])
def test_the_order_of_the_levels(num_levels: int) -> None:
    fine, coarse = make(num_levels), make(num_levels, fine_first=False)
    coarse.load_state_dict(reordered(fine.state_dict(), num_levels))
    maps = feats()
    expected, encoded = fine(maps)
    ours, ours_encoded = coarse(maps)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    for a, b in zip(ours_encoded[::-1], encoded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_fdam_switched_off_has_no_parameters() -> None:
    plain, fdam = make(4), make(4, fdam=dict(att_inv=True, freq_scale=True))
    new = {key for key in fdam.state_dict() if "att_inv." in key or "freq_scale_" in key}
    assert fdam.state_dict().keys() - plain.state_dict().keys() == new
    assert not any("att_inv" in key or "freq_scale" in key for key in plain.state_dict())


@pytest.mark.parametrize("fdam", [dict(att_inv=True), dict(freq_scale=True)], ids=str)
def test_each_layer_of_fdam_acts(fdam: dict[str, bool]) -> None:
    """With weights of ordinary size each of the two changes every level."""
    plain, ours = make(4), make(4, fdam=fdam)
    ours.load_state_dict(plain.state_dict(), strict=False)
    maps = feats()
    for a, b in zip(ours(maps)[1], plain(maps)[1], strict=True):
        assert (a - b).abs().amax() > 1e-3


def test_too_few_maps() -> None:
    with pytest.raises(ValueError, match="got 2 maps, needs at least 3"):
        make(4)(feats()[:2])
