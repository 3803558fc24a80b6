"""``config.py`` of a segmentor, from label maps."""

from pathlib import Path

from fdam_mm.starting.numbers import Numbers
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
    load, plain, tested = '    dict(type="LoadImageFromFile"),', "", ""
    if numbers.mean:  # the preprocessor normalises one or three bands
        load, plain = "    load,", ", mean=None, std=None, bgr_to_rgb=False"
        tested = "pipeline=test_pipeline, "
    sets = {name: _set(split, start.root) for name, split in start.splits.items()}
    return [
        *head(start),
        f"crop = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *schedule(start),
        "head = dict(num_classes=len(_base_.classes), "
        "loss_decode=dict(class_weight=_base_.class_weight))",
        "model = dict(",
        f"    data_preprocessor=dict(size=crop{plain}),",
        f"    backbone={backbone_settings(start, start.fdam)},",
        *([f"    neck={said(model.neck)},"] if model.neck else []),
        *(
            f"    {name}=dict({''.join(f'{k}={v}, ' for k, v in more.items())}**head),"
            if more
            else f"    {name}=head,"
            for name, more in (model.heads or {}).items()
        ),
        ")",
        *_measured(numbers),
        "train_pipeline = [",
        load,
        '    dict(type="LoadAnnotations"),',
        f'    dict(type="RandomResize", scale={numbers.size}, ratio_range=(0.5, 2.0), '
        "keep_ratio=True),",
        '    dict(type="RandomCrop", crop_size=crop, cat_max_ratio=0.75),',
        '    dict(type="RandomFlip", prob=0.5),',
        *([] if numbers.mean else ['    dict(type="PhotoMetricDistortion"),']),  # of RGB
        '    dict(type="PackSegInputs"),',
        "]",
        *(["test_pipeline = [load, *_base_.test_pipeline[1:]]"] if numbers.mean else []),
        *data_lines(start, zero),
        *loaders(sets, "pipeline=train_pipeline, ", tested),
        *tail(start, "mIoU"),
    ]


def _measured(numbers: Numbers) -> list[str]:
    """The loader of several bands, with what was measured of them."""
    if not numbers.mean:
        return []
    settings = f"mean={list(numbers.mean)}, std={list(numbers.std)}"
    return [f'load = dict(type="LoadRaster", {settings})  # measured, of each band']


def _set(split: Split, root: Path) -> str:
    part = split.part
    assert part is not None
    endings = f'img_suffix="{part.image_suffix}", seg_map_suffix="{part.label_suffix}"'
    images, labels = below(part.images, root), below(part.labels, root)
    folders = f"data_prefix=dict(img_path={images}, seg_map_path={labels})"
    return f'ann_file="{{{{ fileDirname }}}}/splits/{split.name}.txt", {folders}, {endings}'
