"""Errors of loading; tests/data/guards has what ours say."""

from pathlib import Path

import pytest
from mmengine.registry import DATASETS
from PIL import Image

from fdam_mm.toolkits.scope import toolkit_scope


def test_upstream_names_no_file(tmp_path: Path) -> None:
    for folder in ("img", "ann"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "img/a.jpg")
    (tmp_path / "ann/a.png").write_bytes(b"no label map at all")
    steps = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
    folders = dict(img_path="img", seg_map_path="ann")
    settings = dict(data_root=str(tmp_path), data_prefix=folders, pipeline=steps)
    with toolkit_scope("mmseg"):
        dataset = DATASETS.build(dict(type="BaseSegDataset", **settings))
    with pytest.raises(Exception) as raised:  # noqa: B017  whatever it is
        dataset.prepare_data(0)
    assert "a.png" not in str(raised.value)
