"""ViTPyramid: sizes, the official keys, errors."""

import pytest
import torch
from mmengine.model import revert_sync_batchnorm

from fdam_mm.models import ViTPyramid


def test_sizes_and_keys() -> None:
    neck = revert_sync_batchnorm(ViTPyramid(embed_dims=8))
    outs = neck([torch.randn(2, 8, 6, 5)] * 4)
    assert [tuple(out.shape[2:]) for out in outs] == [(24, 20), (12, 10), (6, 5), (3, 2)]
    layers = {key.rpartition(".")[0] for key in neck.state_dict()}
    assert layers == {"fpn1.0", "fpn1.1", "fpn1.3", "fpn2.0"}


def test_number_of_maps() -> None:
    neck = revert_sync_batchnorm(ViTPyramid(embed_dims=8))
    with pytest.raises(ValueError, match="takes 4 maps, got 3"):
        neck([torch.randn(2, 8, 6, 5)] * 3)
