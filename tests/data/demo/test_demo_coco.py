import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from fdam_mm.data.demo.coco import STUFF, THINGS, segments_of
from fdam_mm.data.demo.demo_set import RECORD, write_demo_set
from fdam_mm.data.demo.scenes import CLASSES, WIRE, Scene, SceneObject, draw_scene

COUNT, SIZE = 3, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "coco"
    write_demo_set(folder, COUNT, 1, size=SIZE, layout="coco")
    return folder


def scenes() -> list[Scene]:
    """The training pictures' scenes, drawn again."""
    return [
        draw_scene(np.random.default_rng([0, 0, index]), (SIZE, SIZE)) for index in range(COUNT)
    ]


def panoptic(root: Path) -> dict[str, Any]:
    return json.loads((root / "annotations/panoptic_train2017.json").read_text())


def segment_ids(root: Path, file_name: str) -> np.ndarray:
    folder = root / "annotations/panoptic_train2017"
    bgr = cv2.imread(str(folder / file_name), cv2.IMREAD_COLOR).astype(int)
    return bgr[..., 2] + 256 * bgr[..., 1] + 256**2 * bgr[..., 0]


def test_segments_by_hand() -> None:
    background = np.array([[0, 0, 0, 4], [0, 0, 0, 4]], np.uint8)
    item, first, second = np.zeros((3, 2, 4), bool)
    item[0, :2] = True  # hides no whole region
    first[1, 0] = second[0, 3] = True
    objects = [SceneObject(4, item), SceneObject(WIRE, first), SceneObject(WIRE, second)]
    scene = Scene(np.zeros((2, 4, 3), np.uint8), background, objects)
    names = {(THINGS + STUFF)[s.label]: s.mask.astype(int).tolist() for s in segments_of(scene)}
    assert names == {
        CLASSES[4]: [[1, 1, 0, 0], [0, 0, 0, 0]],
        f"{CLASSES[0]}_ground": [[0, 0, 1, 0], [0, 1, 1, 0]],
        f"{CLASSES[4]}_ground": [[0, 0, 0, 0], [0, 0, 0, 1]],
        "wire": [[0, 0, 0, 1], [1, 0, 0, 0]],  # one segment, though two wires
    }


def test_files(root: Path) -> None:
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    pictures = {f"train2017/{n:012d}.jpg" for n in (1, 2, 3)} | {"val2017/000000000001.jpg"}
    tables = {
        f"annotations/{kind}_{split}2017.json"
        for kind in ("instances", "panoptic")
        for split in ("train", "val")
    }
    ids = {f"annotations/panoptic_{p[:-3]}png" for p in pictures}
    assert files == {RECORD, *pictures, *tables, *ids}


def test_pictures_are_those_of_the_other_layouts(root: Path, tmp_path: Path) -> None:
    write_demo_set(tmp_path / "ade", 2, 1, size=SIZE)
    for number in (1, 2):
        image = tmp_path / f"ade/images/training/DEMO_train_{number:08d}.jpg"
        assert image.read_bytes() == (root / f"train2017/{number:012d}.jpg").read_bytes()


def test_pycocotools_reads_the_objects(root: Path) -> None:
    coco = COCO(str(root / "annotations/instances_train2017.json"))
    assert [category["name"] for category in coco.dataset["categories"]] == list(THINGS)
    assert [image["file_name"] for image in coco.dataset["images"]][0] == "000000000001.jpg"
    assert len(coco.anns) == len(coco.dataset["annotations"]), "an id occurs twice"
    for number, scene in enumerate(scenes(), start=1):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=number))
        objects = [item for item in scene.objects if item.class_id != WIRE]
        assert len(annotations) == len(objects) > 0
        for annotation, item in zip(annotations, objects, strict=True):
            assert np.array_equal(coco.annToMask(annotation), item.mask)
            assert annotation["category_id"] == item.class_id + 1
            assert annotation["area"] == item.mask.sum()
            x, y, width, height = annotation["bbox"]
            inside = item.mask[y : y + height, x : x + width]
            assert inside.sum() == item.mask.sum()
            assert inside.any(0)[[0, -1]].all() and inside.any(1)[[0, -1]].all()


def test_panoptic_picture_is_the_scene(root: Path) -> None:
    table = panoptic(root)
    names = {category["id"]: category["name"] for category in table["categories"]}
    for annotation, scene in zip(table["annotations"], scenes(), strict=True):
        ids = segment_ids(root, annotation["file_name"])
        infos = annotation["segments_info"]
        assert sorted(info["id"] for info in infos) == np.unique(ids).tolist()
        semantic = np.zeros_like(ids)
        for info in infos:
            texture = names[info["category_id"]].removesuffix("_ground")
            semantic[ids == info["id"]] = CLASSES.index(texture) + 1
            assert info["area"] == (ids == info["id"]).sum()
        assert np.array_equal(semantic, scene.semantic())


def test_categories_agree(root: Path) -> None:
    instances = json.loads((root / "annotations/instances_train2017.json").read_text())
    entries = panoptic(root)["categories"]
    assert [entry["name"] for entry in entries] == list(THINGS + STUFF)
    assert [entry["isthing"] for entry in entries] == [1] * 6 + [0] * 7
    for known, entry in zip(instances["categories"], entries, strict=False):
        assert (known["id"], known["name"]) == (entry["id"], entry["name"])
