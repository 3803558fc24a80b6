"""What is analysed: a trained model of a toolkit or any of timm, and how it takes a picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from torch import nn

from fdam_mm.apis import load_model, predict
from fdam_mm.apis.loading import usable_device
from fdam_mm.apis.sources import name_of
from fdam_mm.checkpoints import load
from fdam_mm.errors import CheckpointMismatchError, PictureError, UsageError

_TIMM = "timm:"


class Analysed(NamedTuple):
    """A model, ready to be measured."""

    name: str
    model: nn.Module  # whose layers are measured
    run: Callable[[Path], Any]  # on a picture


def open_model(
    source: str,
    checkpoint: str | None = None,
    device: str | None = None,
    whole: bool = False,
    allow_pickle: bool = False,
) -> Analysed:
    """Load what is to be analysed.

    Args:
        source: As :func:`fdam_mm.apis.load_model` takes it, or ``timm:NAME``.
        checkpoint: Its weights; a work folder knows its own. Without, they are drawn.
        device: Where it runs; None takes the GPU if there is one.
        whole: Also look at layers outside the backbone.
        allow_pickle: Also read a checkpoint that needs unpickling.

    Raises:
        UsageError: timm has no such model.
        MissingFileError, ConfigError, CheckpointError: As :func:`fdam_mm.apis.load_model`.
    """
    if source.startswith(_TIMM):
        return _of_timm(source.removeprefix(_TIMM), checkpoint, device, allow_pickle)
    model = load_model(source, checkpoint, device, allow_pickle=allow_pickle)
    root = model if whole else getattr(model, "backbone", model)
    return Analysed(name_of(source), root, lambda file: next(predict(model, file, progress=False)))


def _of_timm(
    name: str, checkpoint: str | None, device: str | None, allow_pickle: bool
) -> Analysed:
    import timm

    from fdam_mm.models.backbones.timm_model import state_for_timm

    if not timm.is_model(name):
        family = name.partition(".")[0].partition("_")[0]
        some = ", ".join(timm.list_models(f"*{family}*")[:3])
        raise UsageError(f"timm has no model {name}" + (f"; it has {some}" if some else ""))
    given: dict[str, Any] = {}
    if checkpoint is None:
        print_log("no checkpoint: the model is untrained", "current", 30)
    else:
        state = state_for_timm(load(checkpoint, allow_pickle), checkpoint)
        given = dict(pretrained=True, pretrained_cfg_overlay=dict(state_dict=state))
    try:
        model = timm.create_model(name, num_classes=0, **given)
    except RuntimeError as error:
        raise CheckpointMismatchError(f"{checkpoint} does not fit {name}: {error}") from error
    where = usable_device(device)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))

    def run(file: Path) -> Any:
        from PIL import Image

        try:
            picture = Image.open(file).convert("RGB")
        except OSError as error:
            raise PictureError(f"{file} cannot be read: {error}") from error
        with torch.no_grad():
            return model(transform(picture)[None].to(where))

    return Analysed(name, model.to(where).eval(), run)
