"""A small segmentor, FDAM's layers of ordinary size inside, and its export."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fdam_mm.apis import load_model
from fdam_mm.layers import AttInv, FreqScale

SIZE = (64, 96)
_STAGES = dict(
    embed_dims=16, num_stages=2, num_layers=[1, 1], num_heads=[1, 2], patch_sizes=[7, 3],
    strides=[4, 2], sr_ratios=[2, 1], out_indices=[0, 1],
)  # fmt: skip
_HEAD = dict(in_channels=[16, 32], in_index=[0, 1], channels=16)


@pytest.fixture(scope="session")
def model() -> nn.Module:
    torch.manual_seed(0)
    options = {
        "model.data_preprocessor.size": SIZE,
        **{f"model.backbone.{key}": value for key, value in _STAGES.items()},
        **{f"model.decode_head.{key}": value for key, value in _HEAD.items()},
    }
    built = load_model("configs/demo/fdam-segformer_demo.py", device="cpu", options=options)
    for module in built.modules():
        if isinstance(module, AttInv | FreqScale):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
    return built


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """Larger than the model's size, and of another ratio."""
    return np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)


@pytest.fixture(scope="session")
def exported(
    model: nn.Module, picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from fdam_mm.export.exporting import export

    out = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export(model, out, check=[picture, picture[:64, :96]])
    return out
