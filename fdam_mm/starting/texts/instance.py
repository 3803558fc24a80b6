"""``config.py`` of a model of objects with masks, from COCO's JSON."""

from pathlib import Path

from fdam_mm.starting.sets import Split

from .pieces import Start, below, data_lines, head, loaders, said, schedule, tail


def instance_text(start: Start) -> list[str]:
    """Its lines."""
    numbers = start.numbers
    decoder = f"pixel_decoder=dict(fdam={said(start.model.fdam)})" if start.fdam else ""
    sets = {name: coco_set(split, start.root) for name, split in start.splits.items()}
    return [
        *head(start),
        f"size = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *schedule(start),
        f"head = dict(num_things_classes=len(_base_.classes), {decoder})",
        "model = dict(panoptic_head=head)",
        "train_pipeline = [",
        '    dict(type="LoadImageFromFile", to_float32=True),',
        '    dict(type="LoadInstances"),',
        '    dict(type="RandomFlip", prob=0.5),',
        '    dict(type="RandomResize", scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),',
        '    dict(type="RandomCrop", crop_size=size, recompute_bbox=True),',
        '    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), by_mask=True),',
        '    dict(type="PackDetInputs"),',
        "]",
        "test_pipeline = [*_base_.test_pipeline]",
        'test_pipeline[1] = dict(type="Resize", scale=size, keep_ratio=True)',
        *data_lines(start.root),
        *loaders(sets, "pipeline=train_pipeline, ", "pipeline=test_pipeline, "),
        "val_evaluator = dict(ann_file=val_dataloader['dataset']['ann_file'])",
        "test_evaluator = dict(ann_file=test_dataloader['dataset']['ann_file'])",
        *tail("coco/segm_mAP"),
    ]


def coco_set(split: Split, root: Path) -> str:
    """A split's JSON and its folder of pictures."""
    part = split.part
    assert part is not None
    own = split.name + ".json"
    if part.labels.is_absolute() and part.labels.is_relative_to(root):
        file = said(str(part.labels))
    elif part.labels.name == own and part.labels.parent.name == "splits":
        file = f'"{{{{ fileDirname }}}}/splits/{own}"'
    else:
        file = said(str(part.labels.resolve()))
    return f"ann_file={file}, data_prefix=dict(img={below(part.images, root)})"
