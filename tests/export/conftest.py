"""A small segmentor, FDAM's layers of ordinary size inside, and its export."""

from pathlib import Path

import numpy as np
import pytest
from support.export_models import segformer
from torch import nn


@pytest.fixture(scope="session")
def model() -> nn.Module:
    return segformer()


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
