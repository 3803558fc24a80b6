"""Hard pictures through data set, pipeline, training step, inference and metrics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import MODELS
from mmengine.runner import set_random_seed
from support.coco import (
    METAINFO,
    STUFF,
    THINGS,
    Picture,
    Thing,
    build_coco,
    read_coco_config,
    write_coco,
)
from support.mask_dino import batch, small_mask_dino
from torch import Tensor, nn

SIZE = 64
MANY = [Thing((4 * (i % 24), 5 * (i // 24), 3, 4), (2, 3, 7)[i % 3]) for i in range(120)]
CROWD = Thing((10, 10, 40, 30), 3, crowd=True)
NORMAL = Picture([Thing((4, 4, 40, 30)), Thing((50, 10, 30, 40), 7)], stuff=[90, 95])
HARD = {
    "nothing": Picture(),
    "crowd alone": Picture([CROWD]),
    "more than 100": Picture(MANY),
    "specks": Picture([Thing((7 * i, 5 * i, 1, 1)) for i in range(9)]),  # most vanish in resizing
    "no stuff": Picture(NORMAL.things),
    "no things": Picture(stuff=[95]),
}
KINDS = ("coco", "coco-panoptic")


def model_for(kind: str, num_things: int = 3) -> nn.Module:
    """The small model with the preprocessor of the config."""
    stuff = len(STUFF) if kind == "coco-panoptic" else 0
    model = small_mask_dino(
        num_things_classes=num_things,
        num_stuff_classes=stuff,
        num_queries=30,
        test_cfg=dict(panoptic_on=stuff > 0, object_mask_thr=0.0, iou_thr=0.0),
    )
    model.data_preprocessor = MODELS.build(read_coco_config(kind).model.data_preprocessor)
    return model.train()


def losses_of(model: nn.Module, samples: Sequence[dict]) -> dict[str, Tensor]:
    data = model.data_preprocessor(pseudo_collate(list(samples)), training=True)
    return model(**data, mode="loss")


def assert_trains(model: nn.Module, samples: Sequence[dict]) -> None:
    losses = losses_of(model, samples)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values()), losses
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def train_set(root: Path, kind: str, **settings: object) -> Sequence[dict]:
    return build_coco(
        read_coco_config(kind, SIZE), root, "train", filter_cfg=dict(min_size=32), **settings
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARD)
def test_training(tmp_path: Path, kind: str, name: str) -> None:
    """Alone, and in a batch with a usual picture."""
    dataset = train_set(write_coco(tmp_path, [HARD[name], NORMAL]), kind)
    set_random_seed(0)
    model = model_for(kind)
    assert len(dataset) == 2
    assert_trains(model, [dataset[0]])
    assert_trains(model, [dataset[0], dataset[1]])


def test_what_the_pictures_become(tmp_path: Path) -> None:
    """The pictures are as hard as their names say, after the pipeline."""
    dataset = train_set(write_coco(tmp_path, list(HARD.values())), "coco-panoptic")
    for step in dataset.pipeline.transforms:
        if type(step).__name__ == "RandomResize":
            step.ratio_range = (1.0, 1.0)  # so that more than 100 objects stay in the crop
    set_random_seed(0)
    samples = dict(zip(HARD, (dataset[i]["data_samples"] for i in range(len(HARD))), strict=True))
    counts = {name: len(sample.gt_instances) for name, sample in samples.items()}
    assert counts["more than 100"] > 100
    assert counts["nothing"] == counts["crowd alone"] == counts["no things"] == 0
    stuff = {name: set(s.gt_sem_seg.sem_seg.unique().tolist()) for name, s in samples.items()}
    assert stuff["no things"] == {4, 255} and stuff["nothing"] == {255}
    assert stuff["crowd alone"] == {1, 255}  # a label of things, which the model passes over


@pytest.mark.parametrize("kind", KINDS)
def test_empty_masks(kind: str) -> None:
    """Where a pipeline keeps them: the box is a point, the mask has no pixel."""
    model = model_for(kind)
    images, samples = batch([2, 1], stuff=[3] if kind == "coco-panoptic" else ())
    samples[0].gt_instances.masks.masks[1] = 0
    samples[0].gt_instances.bboxes[1] = 0
    losses = model(images, samples, mode="loss")
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_inference(tmp_path: Path, kind: str) -> None:
    """Valid results for every picture, and metrics that can read them."""
    write_coco(tmp_path, [*HARD.values(), NORMAL], "val")
    config = read_coco_config(kind, SIZE)
    dataset = build_coco(config, tmp_path, "val")
    metrics = config.val_evaluator if kind == "coco-panoptic" else [config.val_evaluator]
    for metric in metrics:
        for key in {"ann_file", "seg_prefix"} & set(metric):
            metric[key] = metric[key].replace("data/coco", str(tmp_path))
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dataset.metainfo
    model = model_for(kind).eval()
    for sample in dataset:
        with torch.no_grad():
            (result,) = model.test_step(pseudo_collate([sample]))
        assert_valid(result, kind)
        evaluator.process([result], None)
    names = evaluator.evaluate(len(dataset))
    assert ("coco_panoptic/PQ" in names) == (kind == "coco-panoptic")
    assert "coco/segm_mAP" in names


def assert_valid(result: DetDataSample, kind: str) -> None:
    found = result.pred_instances
    assert len(found) and found.bboxes.isfinite().all() and found.scores.isfinite().all()
    assert found.masks.shape == (len(found), *result.ori_shape)
    assert found.labels.max() < len(THINGS)
    if kind == "coco-panoptic":
        segments = result.pred_panoptic_seg.sem_seg
        assert segments.shape == (1, *result.ori_shape)
        assert (segments % 1000).max() <= len(METAINFO["classes"])


def test_one_class(tmp_path: Path) -> None:
    """A JSON of three categories of which the config names one."""
    write_coco(tmp_path, [NORMAL, Picture([Thing((4, 4, 20, 20), 3)])])
    dataset = train_set(tmp_path, "coco", metainfo=dict(classes=("disc",)))
    set_random_seed(0)
    samples = [dataset[0], dataset[1]]
    assert {int(n) for s in samples for n in s["data_samples"].gt_instances.labels} <= {0}
    model = model_for("coco", num_things=1)
    assert_trains(model, samples)
    with torch.no_grad():
        result = model.eval().test_step(pseudo_collate(samples))[0]
    assert (result.pred_instances.labels == 0).all() and len(result.pred_instances)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_losses(tmp_path: Path, kind: str) -> None:
    """Pipeline, denoising noise, sampled points and the steps themselves repeat exactly."""
    write_coco(tmp_path, [NORMAL, HARD["more than 100"], HARD["nothing"]])

    def run(seed: int, *indices: int) -> list[float]:
        dataset = train_set(tmp_path, kind)
        model = model_for(kind)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        set_random_seed(seed)
        history = []
        for index in indices:
            loss = sum(losses_of(model, [dataset[index], dataset[0]]).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        return history

    first = run(3, 1, 2)
    assert np.isfinite(first).all()
    assert run(3, 1, 2) == first
    assert run(4, 1) != first[:1]
