"""What holds a model of timm: building it, FDAM, weights, frozen parts."""

import difflib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from mmengine.logging import print_log
from timm.models import clean_state_dict
from torch import Tensor, nn

from fdam_mm.checkpoints import load, load_state, unwrap
from fdam_mm.errors import CheckpointMismatchError, ConfigError, UnsafeCheckpointError
from fdam_mm.inject import Report, apply_fdam
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_flags, check_rates, start_from
from .base import PretrainedBackbone
from .foreign_words import TIMM, TIMM_MAYBE, Word, refuse_foreign
from .stages import stage_indices

# Settings by which a family of timm takes inputs of any size, by the module that defines it.
_ANY_SIZE = {
    "vision_transformer": dict(dynamic_img_size=True),
    "vision_transformer_hybrid": dict(dynamic_img_size=True),
    "deit": dict(dynamic_img_size=True),
    "eva": dict(dynamic_img_size=True),
    "swin_transformer": dict(strict_img_size=False),
    "swin_transformer_v2": dict(strict_img_size=False),
}
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_RATE = re.compile(r"(.*_)?drop(_.*)?_rate")
_WHERE = ("include", "exclude")  # of fdam: where in the model
_AVERAGED = ("state_dict_ema", "model_ema")


class TimmModel(PretrainedBackbone):
    """A model of timm by its name, under ``timm_model`` with timm's keys.

    Args:
        model_name, pretrained, allow_pickle, in_channels, pad_multiple, frozen, with_cp, fdam,
            init_cfg, settings: As :class:`.timm.FDAMTimmBackbone` says.
        shape: What the subclass asks of timm: which outputs the model has.

    Raises:
        ConfigError, ValueError: As :class:`.timm.FDAMTimmBackbone` says.
    """

    exports_any_size = False  # to ONNX, see fdam_mm.export

    def __init__(
        self,
        model_name: str,
        shape: Mapping[str, Any],
        pretrained: bool | str = False,
        allow_pickle: bool = False,
        in_channels: int = 3,
        pad_multiple: int | None = None,
        frozen: Sequence[str] = (),
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(init_cfg=start_from(init_cfg))
        _check(model_name, pretrained, frozen)
        check_counts(in_channels=in_channels)
        check_flags(allow_pickle=allow_pickle, with_cp=with_cp)
        if pad_multiple is not None:
            check_counts(pad_multiple=pad_multiple)
        settings = {k: v for k, v in settings.items() if v is not None}  # as timm does
        check_rates(**{k: v for k, v in settings.items() if _RATE.fullmatch(k)})
        words = TIMM | dict(in_chans=Word((in_channels,), "write in_channels"))
        foreign = {k: v for k, v in settings.items() if k in words}
        refuse_foreign(type(self), foreign, words)
        settings = {k: v for k, v in settings.items() if k not in words}
        self.pretrained, self.allow_pickle = pretrained, allow_pickle
        self.settings = dict(
            model_name=model_name,
            in_chans=in_channels,
            **shape,
            **{**_any_size(model_name), **settings},
        )
        self.timm_model = self._create()
        self.pad_multiple = pad_multiple or _patch_size(self.timm_model)
        self.report = self._apply_fdam(fdam)
        if with_cp:
            self.inner_model.set_grad_checkpointing(True)
        self.frozen = tuple(frozen)
        self._freeze()

    @property
    def inner_model(self) -> nn.Module:
        """timm's model itself, without what collects its maps; names in it are timm's."""
        return getattr(self.timm_model, "model", self.timm_model)

    def _create(self) -> nn.Module:
        """timm's model, without the words that it does not know and that ask for what it does."""
        while True:
            try:
                return _create(self.settings)
            except TypeError as error:
                name = _UNEXPECTED.search(str(error))
                if name is None or name[1] not in self.settings:
                    raise self._unbuilt(error) from error
                refuse_foreign(type(self), {name[1]: self.settings[name[1]]}, TIMM_MAYBE)
                del self.settings[name[1]]
            except (AssertionError, RuntimeError) as error:
                raise self._unbuilt(error) from error

    def _unbuilt(self, error: Exception) -> ConfigError:
        given = {k: v for k, v in self.settings.items() if k != "features_only"}
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        return ConfigError(f"timm cannot build this model: {reason}. It was given {given}")

    def _apply_fdam(self, fdam: Mapping[str, Any] | None) -> Report | None:
        is_dict = isinstance(fdam, Mapping)
        where = {k: v for k, v in fdam.items() if k in _WHERE} if is_dict else {}
        layers = {k: v for k, v in fdam.items() if k not in _WHERE} if is_dict else fdam
        parse_fdam(layers)  # refuses what does not exist
        layers = {k: v for k, v in (layers or {}).items() if v not in (None, False)}
        if not layers:
            return None
        layers = {"att_inv": False, "freq_scale": False, **layers}
        report = apply_fdam(self.inner_model, **layers, **where)
        print_log(f"{self.settings['model_name']}: {report}", "current", logging.DEBUG)
        return report

    def init_weights(self) -> None:
        """Load the weights of ``pretrained`` or ``init_cfg``; without, timm's own start stays.

        Raises:
            MissingFileError, CheckpointError: The file is missing, damaged, needs unpickling or
                does not fit.
        """
        if isinstance(self.init_cfg, dict):
            super().init_weights()
        elif self.pretrained:
            source = self._pretrained_model().state_dict()
            load_state(self.timm_model, source, self._origin(), fit="pretrained")
        self._is_init = True

    def _pretrained_model(self) -> nn.Module:
        """timm filters and adapts weights while it builds a model."""
        if not isinstance(self.pretrained, str):
            return timm.create_model(pretrained=True, **self.settings)
        overlay = dict(state_dict=_read(self.pretrained, self.allow_pickle))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            start = timm.create_model(**self.settings).state_dict()
            torch.manual_seed(0)  # the same start: what is equal afterwards was not in the file
            try:
                model = timm.create_model(
                    pretrained=True, pretrained_cfg_overlay=overlay, **self.settings
                )
            except Exception as error:  # it built without the file just now
                raise CheckpointMismatchError(self._misfit(str(error))) from error
        weights = [n for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
        missing = [n for n in weights if torch.equal(model.get_parameter(n), start[n])]
        if missing:
            raise CheckpointMismatchError(
                self._misfit(f"it has nothing for {len(missing)} weights, {missing[0]} the first")
            )
        return model

    def _misfit(self, reason: str) -> str:
        return (
            f"{self.pretrained} does not fit timm's {self.settings['model_name']}, whose layout "
            f"pretrained=PATH takes: {' '.join(reason.split())[:300]}"
        )

    def _origin(self) -> str:
        name = self.settings["model_name"]
        return self.pretrained if isinstance(self.pretrained, str) else f"timm's {name}"

    def _freeze(self) -> None:
        modules = dict(self.inner_model.named_modules())
        unknown = sorted(set(self.frozen) - set(modules))
        if unknown:
            raise ValueError(
                f"frozen: {self.settings['model_name']} has no module {unknown}; "
                f"its outer ones are {[n for n in modules if n and n.count('.') < 2]}"
            )
        for name in self.frozen:
            modules[name].eval().requires_grad_(False)
            for layer in modules[name].modules():
                if isinstance(layer, AttInv | FreqScale):
                    layer.train(self.training).requires_grad_(True)

    def train(self, mode: bool = True) -> "TimmModel":
        """Set the mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self


def _check(model_name: str, pretrained: bool | str, frozen: Sequence[str]) -> None:
    if not isinstance(model_name, str):
        raise ConfigError(f"model_name is {model_name!r}, expected the name of a model of timm")
    if not isinstance(pretrained, bool | str):
        raise ConfigError(f"pretrained is {pretrained!r}, expected True, False or a path")
    if not isinstance(frozen, list | tuple) or not all(isinstance(n, str) for n in frozen):
        raise ConfigError(f"frozen is {frozen!r}, expected a list of names of modules")


def _read(file: str, allow_pickle: bool) -> dict[str, Tensor]:
    """:func:`state_for_timm` of ``file``."""
    try:
        checkpoint = load(file, allow_pickle)
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f"{file} holds more than tensors and plain values; reading it could run code of its "
            "own. If you trust its source, set allow_pickle=True of the backbone: "
            "--cfg-options model.backbone.allow_pickle=True"
        ) from error
    return state_for_timm(checkpoint, file)


def state_for_timm(checkpoint: Mapping[str, Any], origin: str) -> dict[str, Tensor]:
    """The weights in a checkpoint, under timm's keys; averaged ones first, as timm prefers them.

    Raises:
        CheckpointMismatchError: There are none; timm would look elsewhere, on the network.
    """
    averaged = next((checkpoint[k] for k in _AVERAGED if checkpoint.get(k)), None)
    state = clean_state_dict(averaged or unwrap(checkpoint))
    if not state:
        raise CheckpointMismatchError(f"{origin} holds no tensors")
    return state


def _create(settings: Mapping[str, Any]) -> nn.Module:
    """timm's model, with ``out_indices`` that exist and ascend."""
    indices = settings.get("out_indices")
    if indices is None:
        return timm.create_model(**settings)
    try:
        model = timm.create_model(**settings)
    except (AssertionError, IndexError):  # timm's words for an index that does not exist
        whole = timm.create_model(**{**settings, "out_indices": (0,)})
        stage_indices(indices, len(whole.feature_info.info), "maps")
        raise  # something else
    stage_indices(indices, len(model.feature_info.info), "maps")
    return model


def _any_size(model_name: str) -> dict[str, Any]:
    if ":" in model_name:  # a model of a hub or a folder
        return {}
    architecture = model_name.partition(".")[0]
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models())
        raise ValueError(f"timm has no model {model_name}; near it: {', '.join(near) or 'none'}")
    module = timm.models.model_entrypoint(architecture).__module__
    return _ANY_SIZE.get(module.rpartition(".")[2], {})


def _patch_size(model: nn.Module) -> int:
    embed = getattr(getattr(model, "model", model), "patch_embed", None)
    if hasattr(embed, "feat_ratio"):  # of the convolutions before the patches too, where a hybrid
        return math.lcm(*embed.feat_ratio(as_scalar=False))
    strides = getattr(getattr(embed, "proj", None), "stride", (1,))
    return math.lcm(*strides)
