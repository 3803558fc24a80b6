"""``config.py`` of Mask DINO, from COCO's JSON of objects with masks or of panoptic segments."""

from fdam_mm.starting.sets import Split

from .pieces import (
    Start,
    backbone_settings,
    below,
    data_lines,
    head,
    inside,
    loaders,
    said,
    schedule,
    tail,
)


def instance_text(start: Start) -> list[str]:
    """Its lines for objects with masks."""
    sets = {name: coco_set(split, start) for name, split in start.splits.items()}
    return [
        *_model(start, "num_things_classes=len(_base_.classes)"),
        *_pipelines("LoadInstances"),
        *data_lines(start),
        *loaders(sets, "pipeline=train_pipeline, ", "pipeline=test_pipeline, "),
        "val_evaluator = dict(ann_file=val_dataloader['dataset']['ann_file'])",
        "test_evaluator = dict(ann_file=test_dataloader['dataset']['ann_file'])",
        *tail(start, "coco/segm_mAP"),
    ]


def panoptic_text(start: Start) -> list[str]:
    """Its lines for segments of all pixels."""
    things = start.things
    sets = {name: _panoptic_set(split, start) for name, split in start.splits.items()}
    files = {
        name: f"ann_file={name}_dataloader['dataset']['ann_file'], "
        f"seg_prefix={_segments(split, start)}"
        for name, split in start.splits.items()
    }
    files.setdefault("test", files["val"])
    counts = f"num_things_classes={things}, num_stuff_classes=len(_base_.classes) - {things}"
    return [
        *_model(start, counts),
        *_pipelines("LoadCocoPanoptic"),
        *data_lines(
            start,
            meta=f", thing_classes=_base_.classes[:{things}], "
            f"stuff_classes=_base_.classes[{things}:]",
        ),
        *loaders(sets, "pipeline=train_pipeline, ", "pipeline=test_pipeline, "),
        f"val_evaluator = dict({files['val']})",
        f"test_evaluator = dict({files['test']})",
        *tail(start, "coco_panoptic/PQ"),
    ]


def coco_set(split: Split, start: Start) -> str:
    """A split's JSON and its folder of pictures."""
    assert split.part is not None
    images = below(split.part.images, start.root)
    return f"{_json(split, start)}, data_prefix=dict(img={images})"


def _model(start: Start, classes: str) -> list[str]:
    numbers = start.numbers
    settings = backbone_settings(start, fdam=False)  # it is in the head
    backbone = f"backbone={settings}, " if start.model.backbone else ""
    decoder = f", pixel_decoder=dict(fdam={said(start.model.fdam)})" if start.fdam else ""
    return [
        *head(start),
        f"size = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *schedule(start),
        f"head = dict({classes}{decoder})",
        f"model = dict({backbone}panoptic_head=head)",
    ]


def _pipelines(load: str) -> list[str]:
    return [
        "train_pipeline = [",
        '    dict(type="LoadImageFromFile", to_float32=True),',
        f'    dict(type="{load}"),',
        '    dict(type="RandomFlip", prob=0.5),',
        '    dict(type="RandomResize", scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),',
        '    dict(type="RandomCrop", crop_size=size, recompute_bbox=True),',
        '    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), by_mask=True),',
        '    dict(type="PackDetInputs"),',
        "]",
        "test_pipeline = [*_base_.test_pipeline]",
        'test_pipeline[1] = dict(type="Resize", scale=size, keep_ratio=True)',
    ]


def _panoptic_set(split: Split, start: Start) -> str:
    assert split.part is not None and split.part.segments is not None
    images, segments = (below(f, start.root) for f in (split.part.images, split.part.segments))
    return f"{_json(split, start)}, data_prefix=dict(img={images}, seg={segments})"


def _segments(split: Split, start: Start) -> str:
    """As the metric reads it, which knows no root."""
    assert split.part is not None and split.part.segments is not None
    return inside(split.part.segments, start)


def _json(split: Split, start: Start) -> str:
    assert split.part is not None
    if split.own:
        return f'ann_file="{{{{ fileDirname }}}}/splits/{split.name}.json"'
    return f"ann_file={inside(split.part.labels, start)}"
