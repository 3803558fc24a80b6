"""Masks of all kinds of COCO through the shipped pipeline, into a training step."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.registry import MODELS
from pycocotools import mask as masks
from support.coco import Picture, Thing, build_coco, read_coco_config, write_coco
from support.mask_dino import small_mask_dino

from fdam_mm.data.loading import LoadInstances
from fdam_mm.errors import LabelError

SIZE = (64, 96)
THINGS = [Thing((4, 4, 40, 30)), Thing((50, 10, 30, 40), 7), Thing((8, 40, 20, 20), 3)]
CROWD = Thing((60, 50, 20, 10), 2, crowd=True)


def ring(y: int, x: int) -> np.ndarray:
    """A mask with a hole and an odd outline, which no polygon gives."""
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[y : y + 20, x : x + 24] = 1
    mask[y + 6 : y + 12, x + 3 : x + 9] = 0
    mask[y, x + 1 :: 2] = 0
    return mask


def compressed(mask: np.ndarray) -> dict:
    return dict(size=list(SIZE), counts=masks.encode(mask)["counts"].decode())


def runs(mask: np.ndarray) -> dict:
    starts = np.flatnonzero(np.diff(mask.ravel("F"), prepend=0, append=0))
    return dict(size=list(SIZE), counts=np.diff(starts, prepend=0, append=mask.size).tolist())


def write(root: Path, *kinds: Callable[[np.ndarray], dict]) -> Path:
    """One picture; its first objects get a ring each as a mask, the others keep polygons."""
    write_coco(root, [Picture([*THINGS, CROWD])])
    file = root / "annotations/instances_train2017.json"
    data = json.loads(file.read_text())
    for index, (kind, annotation) in enumerate(zip(kinds, data["annotations"], strict=False)):
        annotation["segmentation"] = kind(ring(*PLACES[index]))
    file.write_text(json.dumps(data))
    return root


PLACES = [(8, 10), (20, 52)]


def train_set(root: Path, *steps: dict) -> BaseDataset:
    """The data set of the shipped config, with other steps between loading and packing."""
    config = read_coco_config("coco")
    load, *_, pack = config.train_dataloader.dataset.pipeline[1:]
    pipeline = [dict(type="LoadImageFromFile", to_float32=True), load, *steps, pack]
    return build_coco(config, root, "train", pipeline=pipeline)


def test_a_training_step_on_rle_and_polygons(tmp_path: Path) -> None:
    """The target of each object is its own mask, to the pixel, and the masks have a loss."""
    sample = train_set(write(tmp_path, compressed, runs))[0]
    objects = sample["data_samples"].gt_instances
    assert objects.labels.tolist() == [0, 2, 1]  # the crowd is ignored
    model = small_mask_dino().train()
    model.data_preprocessor = MODELS.build(read_coco_config("coco").model.data_preprocessor)
    data = model.data_preprocessor(pseudo_collate([sample]), training=True)
    target = data["data_samples"][0].gt_instances.masks.to_tensor(torch.uint8, "cpu").numpy()
    for mask, place in zip(target, PLACES, strict=False):
        np.testing.assert_array_equal(mask[:64, :96], ring(*place))
    x, y, width, height = THINGS[2].box
    assert target[2, y : y + height, x : x + width].all() and target[2].sum() == width * height
    losses = model(**data, mode="loss")
    assert losses["loss_mask"] > 0 and losses["loss_dice"] > 0
    sum(value for value in losses.values()).backward()


def test_flip_and_resize(tmp_path: Path) -> None:
    steps = dict(type="RandomFlip", prob=1.0), dict(type="Resize", scale=(192, 128))
    sample = train_set(write(tmp_path, compressed), *steps)[0]
    ours = sample["data_samples"].gt_instances.masks
    assert isinstance(ours, BitmapMasks) and len(ours) == 3
    expected = ring(*PLACES[0])[:, ::-1].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(ours.masks[0], expected)


def test_the_shipped_steps(tmp_path: Path) -> None:
    """Scaled, cropped and padded, boxes lie on the masks."""
    dataset = build_coco(read_coco_config("coco"), write(tmp_path, compressed, runs), "train")
    for seed in range(4):
        np.random.seed(seed)
        objects = dataset[0]["data_samples"].gt_instances
        assert objects.masks.masks.shape == (len(objects), 1024, 1024) and len(objects)
        for mask, box in zip(objects.masks.masks, objects.bboxes.tensor, strict=True):
            y, x = mask.nonzero()
            tight = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert (tight - box).abs().max() <= 2.5


def test_polygons_stay_polygons_beside_a_crowd(tmp_path: Path) -> None:
    sample = train_set(write(tmp_path))[0]["data_samples"]
    assert isinstance(sample.gt_instances.masks, PolygonMasks)
    assert len(sample.gt_instances.masks) == 3 and len(sample.ignored_instances.labels) == 1


def loaded(*segmentations: object, **settings: object) -> dict:
    """What the step makes of objects that have these masks."""
    instances = [
        dict(bbox=[0, 0, 4, 4], bbox_label=0, ignore_flag=0)
        | ({} if segmentation is None else dict(mask=segmentation))
        for segmentation in segmentations
    ]
    results = dict(img_path="a.jpg", ori_shape=SIZE, instances=instances)
    return LoadInstances(**settings)(results)


def test_bytes_and_bitmaps() -> None:
    """RLEs as pycocotools makes them; `poly2mask=True` draws polygons."""
    mask = ring(3, 5)
    results = loaded(masks.encode(mask), [[0, 0, 8, 0, 8, 8, 0, 8]])
    np.testing.assert_array_equal(results["gt_masks"].masks[0], mask)
    assert results["gt_masks"].masks[1].sum() == 64
    drawn = loaded([[0, 0, 8, 0, 8, 8, 0, 8]], poly2mask=True)
    assert drawn["gt_masks"].masks.sum() == 64


def test_unusable_polygons_are_ignored() -> None:
    results = loaded([[0, 0, 1, 1]], [[0, 0, 8, 0, 8, 8]])
    assert results["gt_ignore_flags"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "no segmentation, expected polygons or an RLE"),
        ("text", "no segmentation"),
        (dict(size=[64, 96], counts=[6143]), "a broken RLE, expected counts of 6144"),
        (dict(size=[96, 64], counts=[6144]), "RLE of size .96, 64., expected .64, 96."),
        ([1, 2, 3, 4, 5, 6], "a polygon that is no list of numbers"),
        ([["1", 2, 3, 4, 5, 6]], "a polygon that is no list of numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "the number nan"),
        ([[1, 2, 3, 4, 5, 1e9]], "the number 1000000000.0"),
        ([[1, 2, 3, 4, 5, 10**400]], "a number far outside"),
    ],
)
def test_broken_masks_name_the_picture(segmentation: object, message: str) -> None:
    with pytest.raises(LabelError, match=f"a.jpg has an object with .*{message}.*check_data.py"):
        loaded(segmentation)
