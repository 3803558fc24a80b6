"""A small segmentor on every family of backbones exports, of one size, and is the model."""

from pathlib import Path

import pytest
from support.export_models import MODELS, SIZE, STAGED

from fdam_mm.errors import ExportError
from fdam_mm.export.exporting import export


@pytest.mark.slow
@pytest.mark.parametrize("name", [*STAGED, "EoMT on DINOv3"])
def test_a_family_exports(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    about = export(MODELS[name](), tmp_path / "model.onnx", [SIZE], raw=True)
    assert about.check is not None and about.check["graphs"][0]["drawn"]


@pytest.mark.parametrize("name", ["L2ViT", "DINOv2 of timm"])
def test_a_family_without_an_export_of_any_size_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no export of any size.*--size"):
        export(MODELS[name](), tmp_path / "model.onnx", dynamic=True)
