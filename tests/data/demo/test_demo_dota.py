from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmrotate.datasets import DOTADataset

from fdam_mm.data.demo.aerial import CLASSES, draw_aerial
from fdam_mm.data.demo.demo_set import RECORD, write_demo_set


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "dota"
    write_demo_set(folder, 2, 1, layout="dota")
    return folder


def test_files(root: Path) -> None:
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert names == {
        RECORD,
        "train/images/DEMO_00000001.png",
        "train/images/DEMO_00000002.png",
        "train/annfiles/DEMO_00000001.txt",
        "train/annfiles/DEMO_00000002.txt",
        "val/images/DEMO_00000001.png",
        "val/annfiles/DEMO_00000001.txt",
    }


def test_mmrotate_reads_what_was_drawn(root: Path) -> None:
    init_default_scope("mmrotate")
    data = DOTADataset(
        data_root=str(root),
        ann_file="train/annfiles/",
        data_prefix=dict(img_path="train/images/"),
        metainfo=dict(classes=CLASSES),
        pipeline=[],
    )
    infos = sorted((data.get_data_info(index) for index in range(2)), key=lambda i: i["img_id"])
    for index, info in enumerate(infos):
        scene = draw_aerial(np.random.default_rng([0, 0, index]), (192, 192))
        np.testing.assert_array_equal(cv2.imread(info["img_path"])[..., ::-1], scene.image)
        assert [i["bbox_label"] for i in info["instances"]] == [o.class_id for o in scene.objects]
        for instance, item in zip(info["instances"], scene.objects, strict=True):
            np.testing.assert_allclose(instance["bbox"], item.corners.ravel(), atol=0.051)


def test_too_small_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size is 64, expected at least 96"):
        write_demo_set(tmp_path / "demo", 1, 1, size=64, layout="dota")
