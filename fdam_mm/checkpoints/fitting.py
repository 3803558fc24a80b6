"""Putting a converted state dict into a model, and saying clearly what does not fit."""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from fdam_mm.errors import CheckpointMismatchError, MissingFileError
from fdam_mm.layers import AttInv, FreqScale

from .channels import fit_input_channels
from .converting import convert
from .finite import listing, meant_infinities, non_finite
from .loading import load
from .log import log
from .prefixes import under
from .weights import require_weights, unwrap, without_module

Fit = Literal["exact", "pretrained", "finetune"]
"""``exact``: every tensor must fit (evaluation, resuming). ``pretrained``: the same, but FDAM's
own layers may be new. ``finetune``: what fits is taken and the rest named in a warning."""

_SIZE_MISMATCH = re.compile(
    r"size mismatch for (\S+): .* shape (torch.Size\(.*?\)) from checkpoint, "
    r"the shape in current model is (torch.Size\(.*?\))"
)
_SHAPE_HINTS = {  # part of a key -> what a tensor of another shape under it means
    "conv_seg": "another number of classes; set num_classes of the heads to the checkpoint's",
    "cls_embed": "another number of classes; set num_things_classes and num_stuff_classes",
    "level_embed": "another number of levels; set num_levels of the pixel decoder",
    "input_convs.0.conv": "the levels are in another order; set fine_first of the pixel decoder",
    "ffn.": "feed-forwards of another width; set feedforward_channels",
    "pos_embed": "the position embedding is no square grid of the model's width",
}
_UNUSED = "auxiliary_head."  # a part for training alone, which a config for testing may leave out
_SHOWN = 8  # keys of each kind named in a message


@dataclass
class Differences:
    """What of a state dict does not fit a model."""

    missing: list[str]
    unexpected: list[str]
    mismatched: dict[str, str]  # key -> "checkpoint shape, model shape"
    same_kind: bool  # most names are the model's, so that the rest can be explained

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        lines = [
            *_listing("the model needs, the checkpoint lacks", self.missing),
            *_listing("the checkpoint has, the model does not take", self.unexpected),
            *_listing("shapes differ", [f"{k}: {v}" for k, v in self.mismatched.items()]),
        ]
        return "\n".join([*lines, *(f"hint: {hint}" for hint in self._hints())])

    def _hints(self) -> Iterable[str]:
        if not self.same_kind:
            yield "hardly any name is the model's; this is no checkpoint of it"
            return
        if _any_fdam(self.missing):
            yield "the model has FDAM and the checkpoint has none; use the plain twin's config"
        if _any_fdam(self.unexpected):
            yield "the checkpoint has FDAM and the model has none; use the fdam-*.py config"
        if any(".gamma_" in f".{k}" for k in self.missing + self.unexpected):
            yield "LayerScale on one side only: DeiT-III has it (layer_scale_init), DeiT has not"
        for part, hint in _SHAPE_HINTS.items():
            shapes = [shape for key, shape in self.mismatched.items() if part in key]
            if shapes:
                yield f"{hint} ({shapes[0]})"


def load_state(model: nn.Module, state: Mapping[str, Tensor], origin: str, fit: Fit) -> None:
    """Load a converted state dict into ``model``.

    Args:
        model: Changed in place, only if the state dict fits.
        state: Tensors under our keys.
        origin: Where it comes from, for messages.
        fit: How much must fit.

    Raises:
        CheckpointMismatchError: It does not fit; the message lists keys, shapes and likely causes.
    """
    warn_of_non_finite(state, origin, meant_infinities(model.state_dict()))
    if fit != "exact":
        state = fit_input_channels(model, state)
    before = {k: v.clone() for k, v in model.state_dict().items()} if fit != "finetune" else None
    differences = _load_what_fits(model, state)
    optional = _new_layer_keys(model) if fit == "pretrained" else set()
    differences.missing = [k for k in differences.missing if k not in optional]
    unused = _unused(model, differences, fit)
    differences.unexpected = [k for k in differences.unexpected if k not in unused]
    if not differences:
        log(f"loaded {len(state) - len(unused)} tensors from {origin}")
        if unused:
            text = f"{origin}: {len(unused)} tensors have no place in the model and are not used"
            log(f"{text}: {listing(unused)}", logging.WARNING)
        return
    num_fitting = len(state) - len(differences.unexpected) - len(differences.mismatched)
    if fit == "finetune" and num_fitting > 0:
        log(f"{origin}: {num_fitting} tensors loaded; {differences}", logging.WARNING)
        return
    if before is not None:
        model.load_state_dict(before)
    raise CheckpointMismatchError(f"{origin} does not fit the model.\n{differences}")


def warn_of_non_finite(state: Mapping[str, Any], origin: str, meant: Collection[str] = ()) -> None:
    """Say it where tensors read from ``origin`` hold a nan or an infinity; see `non_finite`."""
    bad = non_finite(state, meant)
    if bad:
        log(
            f"{origin}: {len(bad)} tensors are not finite (nan or infinity): {listing(bad)}. They "
            "were broken when they were saved; take an earlier checkpoint",
            logging.WARNING,
        )


def load_pretrained(
    module: nn.Module,
    checkpoint: str | Path,
    prefix: str | None = None,
    allow_pickle: bool = False,
) -> None:
    """Start ``module`` from a pretrained file of any known layout; FDAM's layers may be new.

    Args:
        module: Usually a backbone.
        checkpoint: Path or address, see :func:`fdam_mm.checkpoints.load`.
        prefix: Take the keys under this prefix only. A segmentor's or detector's file is
            recognised by ``backbone.`` and needs none.
        allow_pickle: See :func:`fdam_mm.checkpoints.load`.

    Raises:
        MissingFileError, CheckpointError: See :func:`fdam_mm.checkpoints.load`.
        CheckpointMismatchError: The file does not fit ``module``.
    """
    try:
        loaded = load(checkpoint, allow_pickle)
    except MissingFileError as error:
        raise MissingFileError(
            f"{error}. Pretrained files are fetched by hand, the README says where from; to start "
            "from scratch: --cfg-options model.backbone.init_cfg=None"
        ) from error
    origin, state = str(checkpoint), unwrap(loaded)
    require_weights(state, origin)
    if prefix:
        prefix = prefix.rstrip(".") + "."
        state = under(state, prefix) or under(without_module(state, origin), prefix)
        if not state:
            raise CheckpointMismatchError(f"{origin} has no key under the prefix {prefix!r}")
    keys = module.state_dict().keys() if prefix is None else None
    converted = convert(state, origin=origin, keys=keys)
    if getattr(module, "final_norm", None) is not None:  # a classifier's, which convert leaves out
        last = {k: v for k, v in state.items() if k in ("norm.weight", "norm.bias")}
        converted.update({f"final_{key}": value for key, value in last.items()})
    load_state(module, converted, origin, fit="pretrained")


def _load_what_fits(model: nn.Module, state: Mapping[str, Tensor]) -> Differences:
    mismatched = {}
    try:
        result = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        for key, theirs, ours in _SIZE_MISMATCH.findall(str(error)):
            mismatched[key] = f"checkpoint {_shape(theirs)}, model {_shape(ours)}"
        if not mismatched:
            raise
        fitting = {k: v for k, v in state.items() if k not in mismatched}
        result = model.load_state_dict(fitting, strict=False)
    missing = [k for k in result.missing_keys if k not in mismatched]
    shared = len(state) - len(result.unexpected_keys)
    same_kind = 2 * shared > min(len(state), len(model.state_dict()))
    return Differences(missing, list(result.unexpected_keys), mismatched, same_kind)


def _unused(model: nn.Module, differences: Differences, fit: Fit) -> list[str]:
    """Keys of parts that the model need not have.

    Those are heads for training alone and, where a whole backbone is there, what its training had
    around it: mask tokens, decoders, registers. What a part of the model lacks is none of them.
    """
    unused = [k for k in differences.unexpected if k.startswith(_UNUSED)]
    if fit != "pretrained" or differences.missing or not differences.same_kind:
        return unused
    parts = {key.partition(".")[0] for key in model.state_dict()}
    others = [k for k in differences.unexpected if k.partition(".")[0] not in parts]
    return [*unused, *(k for k in others if k not in unused)]


def _new_layer_keys(model: nn.Module) -> set[str]:
    """Keys of FDAM's own layers, and those that a backbone says are in no pretrained file."""
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, AttInv | FreqScale)]
    keys = {f"{name}.{key}" for name, layer in layers for key in layer.state_dict()}
    others = tuple(getattr(model, "not_in_pretrained", ()))
    return keys | {key for key in model.state_dict() if key.startswith(others)}


def _any_fdam(keys: Iterable[str]) -> bool:
    return any("att_inv." in key or "freq_scale_" in key for key in keys)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(side) for side in re.findall(r"\d+", text))


def _listing(title: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return [f"{title} ({len(keys)}): {', '.join(keys[:_SHOWN])}{more}"]
