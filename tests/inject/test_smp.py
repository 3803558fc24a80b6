"""``apply_fdam`` on the encoders of segmentation_models_pytorch."""

from collections.abc import Callable
from functools import partial

import pytest
from support.adapter_checks import Case, checked
from torch import nn

smp = pytest.importorskip("segmentation_models_pytorch")


def _unet(encoder: str) -> nn.Module:
    return smp.Unet(encoder, encoder_weights=None, decoder_channels=[8] * 5, classes=2)


CASES = {
    "mit": Case(partial(_unet, "mit_b0"), 8, 16, odd_size=(64, 96), reduced=6, export=False),
    "a pyramid of timm": Case(
        partial(_unet, "tu-pvt_v2_b0"), 8, 16, odd_size=(64, 96), reduced=6, export=False
    ),
}


@checked(CASES)
def test_adapter(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
