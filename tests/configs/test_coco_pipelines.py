"""The training and test pipelines of the COCO configs, on a drawn set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.mask import PolygonMasks
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS
from support.coco import (
    CATEGORIES,
    COLOURS,
    Picture,
    Thing,
    build_coco,
    read_coco_config,
    write_coco,
)
from torch import Tensor

PICTURE = Picture([Thing((10, 8, 30, 24), 2), Thing((52, 20, 36, 30), 7)], stuff=[90, 95])
COLOUR_OF = [COLOURS[category["id"]] for category in CATEGORIES]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco")
    for split in ("train", "val"):
        write_coco(root, [PICTURE], split)
    return root


def seen_by_the_model(config, sample: dict, training: bool) -> tuple[Tensor, object, Tensor]:
    """The picture in RGB, 0..255 (3, H, W), its sample, and the normalised picture."""
    preprocessor = MODELS.build(config.model.data_preprocessor)
    data = preprocessor(pseudo_collate([sample]), training)
    normalised = data["inputs"][0]
    return normalised * preprocessor.std + preprocessor.mean, data["data_samples"][0], normalised


def assert_colour(rgb: Tensor, mask: Tensor, label: int) -> None:
    expected = torch.tensor(COLOUR_OF[label], dtype=torch.float32)
    assert (rgb[:, mask].median(1).values - expected).abs().max() < 8, label


@pytest.mark.parametrize("kind", ["coco", "coco-panoptic"])
@pytest.mark.parametrize("seed", range(3))
def test_training(root: Path, kind: str, seed: int) -> None:
    """1024 x 1024 at any scale; masks, boxes and colours belong together after flip and crop."""
    config = read_coco_config(kind)
    dataset = build_coco(config, root, "train")
    np.random.seed(seed)
    sample = dataset[0]
    rgb, data, normalised = seen_by_the_model(config, sample, training=True)
    assert rgb.shape == (3, 1024, 1024) and data.batch_input_shape == (1024, 1024)
    scale = data.scale_factor[0]
    assert 1024 * 0.1 <= 96 * scale <= 1024 * 2.0
    height, width = (min(round(side * scale), 1024) for side in PICTURE.size)
    for padding in (sample["inputs"][:, height:], sample["inputs"][:, :, width:]):
        assert (padding == 128).all()
    if height < 1024:
        expected = (128 - 103.53) / 57.375  # padded before it is normalised
        assert normalised[2, -1, -1].item() == pytest.approx(expected)

    objects = data.gt_instances
    assert isinstance(objects.masks, PolygonMasks) == (kind == "coco")  # drawn after resizing
    masks = objects.masks.to_tensor(torch.bool, "cpu")
    assert masks.shape[1:] == (1024, 1024) and len(masks) == len(objects.labels) > 0
    for mask, box, label in zip(masks, objects.bboxes, objects.labels, strict=True):
        y, x = mask.nonzero().T
        tight = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert (tight - box).abs().max() <= 1.5
        assert_colour(rgb, mask, label)
    if kind == "coco-panoptic":
        region = data.gt_sem_seg.sem_seg[0]
        assert (region[height:] == 255).all() and (region[:, width:] == 255).all()
        stuff = set(region.unique().tolist()) & {3, 4}
        assert stuff
        for label in stuff:
            assert_colour(rgb, region == label, label)


def test_scales_and_flips_vary(root: Path) -> None:
    dataset = build_coco(read_coco_config("coco"), root, "train")
    np.random.seed(0)
    samples = [dataset[0]["data_samples"] for _ in range(12)]
    scales = [sample.scale_factor[0] * 96 / 1024 for sample in samples]
    assert min(scales) < 0.5 and max(scales) > 1.5
    assert {sample.flip for sample in samples} == {False, True}


@pytest.mark.parametrize("kind", ["coco", "coco-panoptic"])
def test_testing(root: Path, kind: str) -> None:
    """The shorter side is 800 while the longer is at most 1333; annotations keep their size."""
    config = read_coco_config(kind)
    dataset = build_coco(config, root, "val")
    rgb, data, _ = seen_by_the_model(config, dataset[0], training=False)
    assert data.img_shape == (800, 1200) and data.ori_shape == PICTURE.size
    assert rgb.shape == (3, 800, 1216)
    disc = rgb[:, 20 * 800 // 64, 25 * 1200 // 96]
    assert (disc - torch.tensor(COLOURS[2])).abs().max() < 8
    assert data.gt_instances.labels.tolist() == [0, 2]
