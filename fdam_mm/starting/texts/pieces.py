"""What the texts of all tasks share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdam_mm.data.own import Task
from fdam_mm.starting.models import Model
from fdam_mm.starting.numbers import Numbers
from fdam_mm.starting.sets import Split
from fdam_mm.visualization.colours import Colour


@dataclass(frozen=True)
class Start:
    """All that a config is made of.

    Attributes:
        task: That it is for.
        model: It starts from.
        root: Folder of the data, as it lies now.
        said_root: The same as the config says it.
        splits: "train", "val", and "test" where there is one.
        numbers: That the rules gave.
        fdam: Whether ``config.py`` has FDAM, and its twin not.
        counts: Pictures of each split, or the tiles that were cut.
        zero_unlabelled: Of label maps, as in ``LabelledSet``.
        things: Classes with single objects, the first ones; of panoptic sets.
    """

    task: Task
    model: Model
    root: Path
    said_root: str
    splits: dict[str, Split]
    numbers: Numbers
    fdam: bool
    counts: dict[str, int]
    zero_unlabelled: bool = False
    things: int = 0


def classes_text(names: Sequence[str], palette: Sequence[Colour], weights: Any) -> str:
    """``classes.py``: what both configs inherit."""
    rows = "".join(f"    {name!r},\n" for name in names)
    colours = "".join(f"    {tuple(colour)},\n" for colour in palette)
    lines = ["# The classes in the order of their labels, and their RGB colours."]
    lines.append(f"classes = (\n{rows})\npalette = [\n{colours}]")
    if weights is not None:
        lines.append("# Of the loss: the root of median frequency over frequency; None for none.")
    lines.append(f"class_weight = {weights!r}")
    return "\n".join(lines) + "\n"


def twin_text(model: Model, with_fdam: bool) -> str:
    """The config that differs in FDAM alone."""
    what = "with FDAM" if with_fdam else "without FDAM"
    value = f"dict(fdam={said(model.fdam) if with_fdam else None})"
    for key in reversed(model.fdam_in):
        value = f"dict({key}={value})"
    return f'# The same {what}, to compare.\n_base_ = "./config.py"\nmodel = {value}\n'


_USE = {"train": "train", "val": "validate", "test": "test"}


def head(start: Start, unit: str = "pictures", about: str = "") -> list[str]:
    """The first lines: what it is, and the bases."""
    model, counts = start.model, start.counts
    used = ", ".join(f"{counts[name]} to {_USE[name]}" for name in _USE if name in counts)
    lines = [
        f"# {model.title}{' with FDAM' if start.fdam else ''}; {unit}: {used}. Yours to edit.",
        f"# classes.py has names and colours, splits/ the pictures' names{about}.",
    ]
    if not model.pretrained:
        better = f". Better: {model.weights}, see the base" if model.weights else ""
        lines.append(f"# From drawn weights: norms are trained, nothing is frozen{better}.")
    elif model.weights is None:
        lines.append("# Its weights are fetched as it starts; without: fdam new --from-scratch.")
    return [*lines, f'_base_ = ["fdam_mm::_base_/{model.base}.py", "./classes.py"]']


def schedule(start: Start) -> list[str]:
    """The numbers that are changed most."""
    source = "pretrained" if start.model.pretrained else "drawn"
    numbers = start.numbers
    return [
        f"max_iters = {numbers.iterations}  # more is better, up to where the validation falls",
        f"batch_size = {numbers.batch}  # of each GPU; less where memory is short",
        f"lr = {numbers.rate!r}  # for {source} weights and this batch size",
    ]


def backbone_settings(start: Start, fdam: bool) -> str:
    """Settings of the backbone: the model's own, its weights, and FDAM where it belongs there."""
    settings = start.model.backbone
    if start.numbers.mean:
        settings["in_channels"] = len(start.numbers.mean)
    if fdam:
        settings["fdam"] = start.model.fdam
    return said(settings)


def data_lines(start: Start, more: str = "", meta: str = "") -> list[str]:
    """``data``: what all splits share; ``more`` are settings of it, ``meta`` of the metainfo."""
    return [
        f"data = dict(data_root={said(start.said_root)}{more})",
        f"data.update(metainfo=dict(classes=_base_.classes, palette=_base_.palette{meta}))",
    ]


def loaders(sets: dict[str, str], trained: str, tested: str = "") -> list[str]:
    """What each split reads; ``trained`` and ``tested`` are settings of these alone."""
    test = f"dict(dataset=dict({sets.get('test')}, {tested}**data))"
    return [
        f"train = dict({sets['train']}, {trained}**data)",
        "train_dataloader = dict(batch_size=batch_size, dataset=train)",
        f"val_dataloader = dict(dataset=dict({sets['val']}, {tested}**data))",
        f"test_dataloader = {test if 'test' in sets else 'val_dataloader'}",
    ]


def tail(start: Start, metric: str) -> list[str]:
    """Schedule and checkpoints, of the numbers on top."""
    model = start.model
    rates = None if model.pretrained else model.drawn_rates
    paramwise = f", paramwise_cfg={said(rates)}" if rates else ""
    return [
        "train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)",
        f"optim_wrapper = dict(optimizer=dict(lr=lr){paramwise})",
        "param_scheduler = [",
        '    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, end=2 + max_iters // 20),',
        '    dict(type="PolyLR", by_epoch=False, begin=2 + max_iters // 20, end=max_iters),',
        "]",
        "default_hooks = dict(checkpoint=dict(interval=max_iters // 10))",
        f'# custom_hooks = [dict(type="EarlyStoppingHook", monitor="{metric}", '
        'rule="greater", patience=3)]',
    ]


def below(path: Path, root: Path) -> str:
    """Relative to the data's folder where it is in it."""
    path = path.resolve()
    return said(str(path.relative_to(root) if path.is_relative_to(root) else path))


def inside(path: Path, start: Start) -> str:
    """The whole path, by way of the data's folder where it is in it."""
    path = path.resolve()
    if path.is_relative_to(start.root):
        return said(f"{start.said_root}/{path.relative_to(start.root)}")
    return said(str(path))


def said(value: Any) -> str:
    """As a config writes it."""
    if isinstance(value, Mapping):
        return f"dict({', '.join(f'{k}={said(v)}' for k, v in value.items())})"
    return f'"{value}"' if isinstance(value, str) and '"' not in value else repr(value)
