"""``config.py`` of a segmentor, from label maps."""

from pathlib import Path

from fdam_mm.starting.sets import Split

from .pieces import (
    Start,
    backbone_settings,
    below,
    data_lines,
    head,
    loaders,
    said,
    schedule,
    tail,
)


def semantic_text(start: Start) -> list[str]:
    """Its lines."""
    model, numbers = start.model, start.numbers
    zero = ", reduce_zero_label=True" if start.zero_unlabelled else ""
    sets = {name: _set(split, start.root) for name, split in start.splits.items()}
    return [
        *head(start),
        f"crop = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *schedule(start),
        "head = dict(num_classes=len(_base_.classes))",
        "head.update(loss_decode=dict(class_weight=_base_.class_weight))",
        "model = dict(",
        "    data_preprocessor=dict(size=crop),",
        f"    backbone={backbone_settings(start, start.fdam)},",
        *([f"    neck={said(model.neck)},"] if model.neck else []),
        *(
            f"    {name}=dict({''.join(f'{k}={v}, ' for k, v in more.items())}**head),"
            if more
            else f"    {name}=head,"
            for name, more in (model.heads or {}).items()
        ),
        ")",
        "train_pipeline = [",
        '    dict(type="LoadImageFromFile"),',
        '    dict(type="LoadAnnotations"),',
        f'    dict(type="RandomResize", scale={numbers.size}, ratio_range=(0.5, 2.0), '
        "keep_ratio=True),",
        '    dict(type="RandomCrop", crop_size=crop, cat_max_ratio=0.75),',
        '    dict(type="RandomFlip", prob=0.5),',
        '    dict(type="PhotoMetricDistortion"),',
        '    dict(type="PackSegInputs"),',
        "]",
        *data_lines(start.root, zero),
        *loaders(sets, "pipeline=train_pipeline, "),
        *tail("mIoU"),
    ]


def _set(split: Split, root: Path) -> str:
    part = split.part
    assert part is not None
    endings = f'img_suffix="{part.image_suffix}", seg_map_suffix="{part.label_suffix}"'
    images, labels = below(part.images, root), below(part.labels, root)
    folders = f"data_prefix=dict(img_path={images}, seg_map_path={labels})"
    return f'ann_file="{{{{ fileDirname }}}}/splits/{split.name}.txt", {folders}, {endings}'
