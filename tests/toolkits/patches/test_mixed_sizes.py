"""Predicting pictures of several sizes; tests/tools/test_images.py does it through the tools."""

import pytest
import torch
from mmseg.models import SegDataPreProcessor


def test_upstream_stops_at_a_batch_of_several_sizes() -> None:
    inputs = [torch.zeros(3, 8, 8), torch.zeros(3, 8, 6)]
    with pytest.raises(AssertionError, match="should be the same"):
        SegDataPreProcessor()(dict(inputs=inputs, data_samples=None), training=False)
