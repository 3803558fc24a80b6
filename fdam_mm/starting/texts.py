"""The texts of a start's files: configs that a person reads and edits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdam_mm.data.own import Inspection
from fdam_mm.visualization.colours import Colour

from .models import Model
from .sets import Split

FDAM = "dict(att_inv=True, freq_scale=True)"


@dataclass(frozen=True)
class Numbers:
    """What the rules gave, see :mod:`.rules`.

    Attributes:
        side: Of the crop.
        size: Longer and shorter side of the pictures, the medians.
        batch, iterations: Of the training.
        rate: Learning rate.
        weights: Of the classes, None for none.
    """

    side: int
    size: tuple[int, int]
    batch: int
    iterations: int
    rate: float
    weights: list[float] | None = None


def classes_text(names: Sequence[str], palette: Sequence[Colour], weights: Any) -> str:
    """``classes.py``: what both configs inherit."""
    rows = "".join(f"    {name!r},\n" for name in names)
    colours = "".join(f"    {list(colour)},\n" for colour in palette)
    lines = ["# The classes in the order of their labels, and their RGB colours."]
    lines.append(f"classes = (\n{rows})\npalette = [\n{colours}]")
    if weights is not None:
        lines.append("# Of the loss: the root of median frequency over frequency; None for none.")
    lines.append(f"class_weight = {weights!r}")
    return "\n".join(lines) + "\n"


def twin_text(task: str, with_fdam: bool) -> str:
    """The config that differs in FDAM alone."""
    what = "with FDAM" if with_fdam else "without FDAM"
    value = FDAM if with_fdam else "None"
    return (
        f'# The same {what}, to compare.\n_base_ = "./config.py"\nmodel = {_fdam(task, value)}\n'
    )


def _fdam(task: str, value: str) -> str:
    if task == "instance":
        return f"dict(panoptic_head=dict(pixel_decoder=dict(fdam={value})))"
    return f"dict(backbone=dict(fdam={value}))"


def semantic_text(
    found: Inspection, model: Model, splits: dict[str, Split], numbers: Numbers, fdam: bool
) -> str:
    """``config.py`` of a segmentor."""
    root = found.folder.resolve()
    backbone = {**(model.settings or {})}
    if model.weights is not None:
        start = dict(type="Pretrained", checkpoint=model.weights)
        backbone["init_cfg"] = start if model.pretrained else None
    settings = [f"{k}={_said(v)}" for k, v in backbone.items()] + [f"fdam={FDAM}"] * fdam
    zero = ", reduce_zero_label=True" if found.labelled.zero_unlabelled else ""
    sets = {name: _semantic_set(split, root) for name, split in splits.items()}
    lines = [
        *_head(model, splits, fdam),
        f"crop = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *_schedule(numbers, model),
        "head = dict(num_classes=len(_base_.classes))",
        "head.update(loss_decode=dict(class_weight=_base_.class_weight))",
        "model = dict(",
        "    data_preprocessor=dict(size=crop),",
        f"    backbone=dict({', '.join(settings)}),",
        *([f"    neck={_said(model.neck)},"] if model.neck else []),
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
        f"data = dict(data_root={_said(str(root))}{zero})",
        "data.update(metainfo=dict(classes=_base_.classes, palette=_base_.palette))",
        *_loaders(sets),
        *(line.replace("METRIC", "mIoU") for line in _TAIL),
    ]
    return "\n".join(lines) + "\n"


def instance_text(
    found: Inspection, model: Model, splits: dict[str, Split], numbers: Numbers, fdam: bool
) -> str:
    """``config.py`` of a model of objects with masks, from COCO's JSON."""
    root = found.folder.resolve()
    decoder = f"pixel_decoder=dict(fdam={FDAM})" if fdam else ""
    sets = {name: _coco_set(split, root) for name, split in splits.items()}
    lines = [
        *_head(model, splits, fdam),
        f"size = ({numbers.side}, {numbers.side})  # what a training step sees of a picture",
        *_schedule(numbers, model),
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
        f"data = dict(data_root={_said(str(root))})",
        "data.update(metainfo=dict(classes=_base_.classes, palette=_base_.palette))",
        *_loaders(sets, "pipeline=test_pipeline, "),
        "val_evaluator = dict(ann_file=val_dataloader['dataset']['ann_file'])",
        "test_evaluator = dict(ann_file=test_dataloader['dataset']['ann_file'])",
        *(line.replace("METRIC", "coco/segm_mAP") for line in _TAIL),
    ]
    return "\n".join(lines) + "\n"


_USE = {"train": "train", "val": "validate", "test": "test"}


def _head(model: Model, splits: dict[str, Split], fdam: bool) -> list[str]:
    used = {name: len(splits[name].pictures) for name in _USE if name in splits}
    counts = ", ".join(f"{count} to {_USE[name]}" for name, count in used.items())
    lines = [
        f"# {model.title}{' with FDAM' if fdam else ''}; pictures: {counts}. Yours to edit.",
        "# classes.py has names and colours, splits/ the pictures' names.",
    ]
    if not model.pretrained:
        lines.append(f"# From drawn weights; better: {model.weights}, see the base's address.")
    return [*lines, f'_base_ = ["fdam_mm::_base_/{model.base}.py", "./classes.py"]']


def _schedule(numbers: Numbers, model: Model) -> list[str]:
    source = "pretrained" if model.pretrained else "drawn"
    return [
        f"max_iters = {numbers.iterations}  # more is better, up to where the validation falls",
        f"batch_size = {numbers.batch}  # of each GPU; less where memory is short",
        f"lr = {numbers.rate!r}  # for {source} weights and this batch size",
    ]


def _loaders(sets: dict[str, str], tested: str = "") -> list[str]:
    """What each split reads; ``data`` is common to all."""
    test = f"dict(dataset=dict({sets.get('test')}, {tested}**data))"
    return [
        f"train = dict({sets['train']}, pipeline=train_pipeline, **data)",
        "train_dataloader = dict(batch_size=batch_size, dataset=train)",
        f"val_dataloader = dict(dataset=dict({sets['val']}, {tested}**data))",
        f"test_dataloader = {test if 'test' in sets else 'val_dataloader'}",
    ]


_TAIL = [
    "train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)",
    "optim_wrapper = dict(optimizer=dict(lr=lr))",
    "param_scheduler = [",
    '    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, end=2 + max_iters // 20),',
    '    dict(type="PolyLR", by_epoch=False, begin=2 + max_iters // 20, end=max_iters),',
    "]",
    "default_hooks = dict(checkpoint=dict(interval=max_iters // 10))",
    '# custom_hooks = [dict(type="EarlyStoppingHook", monitor="METRIC", patience=3)]',
]


def _semantic_set(split: Split, root: Path) -> str:
    part = split.part
    endings = f'img_suffix="{part.image_suffix}", seg_map_suffix="{part.label_suffix}"'
    images, labels = _below(part.images, root), _below(part.labels, root)
    folders = f"data_prefix=dict(img_path={images}, seg_map_path={labels})"
    return f'ann_file="{{{{ fileDirname }}}}/splits/{split.name}.txt", {folders}, {endings}'


def _coco_set(split: Split, root: Path) -> str:
    part = split.part
    own = split.name + ".json"
    if part.labels.is_absolute() and part.labels.is_relative_to(root):
        file = _said(str(part.labels))
    elif part.labels.name == own and part.labels.parent.name == "splits":
        file = f'"{{{{ fileDirname }}}}/splits/{own}"'
    else:
        file = _said(str(part.labels.resolve()))
    return f"ann_file={file}, data_prefix=dict(img={_below(part.images, root)})"


def _below(path: Path, root: Path) -> str:
    """Relative to the data's folder where it is in it."""
    path = path.resolve()
    return _said(str(path.relative_to(root) if path.is_relative_to(root) else path))


def _said(value: Any) -> str:
    """As a config writes it."""
    if isinstance(value, dict):
        return f"dict({', '.join(f'{k}={_said(v)}' for k, v in value.items())})"
    return f'"{value}"' if isinstance(value, str) and '"' not in value else repr(value)
