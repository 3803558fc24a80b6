"""``config.py`` of a detector of upright boxes, from COCO's JSON."""

from .mask_dino import coco_set
from .pieces import Start, backbone_settings, data_lines, head, loaders, said, schedule, tail


def boxes_text(start: Start) -> list[str]:
    """Its lines."""
    numbers = start.numbers
    sets = {name: coco_set(split, start) for name, split in start.splits.items()}
    return [
        *head(start),
        f"size = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *schedule(start),
        "model = dict(",
        f"    backbone={backbone_settings(start, start.fdam)},",
        f"    neck={said(start.model.neck)},",
        f"    rpn_head=dict(anchor_generator=dict(scales={list(numbers.anchors)})),  # of anchors",
        "    roi_head=dict(bbox_head=dict(num_classes=len(_base_.classes))),",
        ")",
        "train_pipeline = [",
        '    dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True),',
        '    dict(type="RandomFlip", prob=0.5),',
        '    dict(type="RandomResize", scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),',
        '    dict(type="RandomCrop", crop_size=size),',
        '    dict(type="PackDetInputs"),',
        "]",
        "test_pipeline = [*_base_.test_pipeline]",
        'test_pipeline[1] = dict(type="Resize", scale=size, keep_ratio=True)',
        *data_lines(start),
        *loaders(sets, "pipeline=train_pipeline, ", "pipeline=test_pipeline, "),
        "val_evaluator = dict(ann_file=val_dataloader['dataset']['ann_file'])",
        "test_evaluator = dict(ann_file=test_dataloader['dataset']['ann_file'])",
        *tail(start, "coco/bbox_mAP"),
    ]
