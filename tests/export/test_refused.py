"""What has no export is refused before anything is computed, with the reason."""

from pathlib import Path

import pytest
from support.export_models import SIZE, refused_models

from fdam_mm.errors import ExportError
from fdam_mm.export.exporting import export

MESSAGES = {
    "S2ANet": "ONNX has no operator.*expected Oriented R-CNN",
    "Rotated Faster R-CNN": "ONNX has no operator.*expected Oriented R-CNN",
    "Mask DINO, semantic": "instance_on=False.*--raw",
    "EoMT, panoptic": "MaskFormer of mmdet cannot be exported",
    "RetinaNet of mmdet": "RetinaNet of mmdet cannot be exported",
    "a test pipeline that rotates": "has RandomRotate, which no graph of ours does.*--raw",
    "a test pipeline of several scales": "expected one scale",
    "windows with align_corners": "has align_corners; expected one of them",
}


@pytest.mark.parametrize("name", refused_models())
def test_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=MESSAGES[name]):
        export(refused_models()[name](), tmp_path / "a.onnx", [SIZE])
    assert not [*tmp_path.iterdir()]
