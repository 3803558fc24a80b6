"""Any backbone of timm, plain or with FDAM."""

import difflib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from mmengine.logging import print_log
from mmengine.registry import MODELS
from timm.models import clean_state_dict
from torch import Tensor, nn
from torch.nn import functional as F

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


@MODELS.register_module()
class FDAMTimmBackbone(PretrainedBackbone):
    """A model of timm by its name, as a backbone for any head of mmseg, mmdet or mmrotate.

    The model keeps timm's keys, under ``timm_model.``. FDAM moves in through
    :func:`fdam_mm.apply_fdam`, which says what each family can carry.

    Args:
        model_name: As :func:`timm.create_model` takes it, with or without a weight tag.
        out_indices: Which of timm's feature maps to return: stages of a hierarchical model, blocks
            of a plain ViT, ascending from 0; -1 is the last. None takes timm's choice.
            ``feature_info`` tells their channels and strides.
        pretrained: True starts from timm's weights, which timm downloads unless it has them, and
            a path from a file in their layout. Like any ``init_cfg`` it acts in
            :meth:`init_weights`, which a training calls and a test does not.
        allow_pickle: Read that file even if it needs unpickling, which can run any code.
        in_channels: Channels of the input; timm adapts pretrained weights to it.
        out_norm: A LayerNorm on each map, as the toolkits' own Swin has it.
        pad_multiple: Inputs are padded with zeros, right and bottom, to a multiple of this; None
            takes the stride of the patch embedding (with a hybrid's convolutions), 1 where the
            model has none.
        frozen: Names of modules inside the model that are not trained, in timm's naming. FDAM's
            layers in them are trained all the same: they are new beside timm's weights.
        with_cp: timm's activation checkpointing.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``include`` and ``exclude`` beside them say
            where, as :func:`fdam_mm.apply_fdam` takes them: ``dict(..., include="blocks.[4-9]")``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a backbone or a whole
            model that was trained with this class.
        **settings: Further settings of the timm model, e.g. ``img_size`` or ``drop_path_rate``.
            Words of other backbones are taken at the values that mean what this one does
            (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C, H, W), one per map.

    Raises:
        ConfigError: An argument of another type or range than it needs, or that does not exist.
        ValueError: A model that timm has not, maps that it has not or that do not ascend, a module
            to freeze that does not exist, or a model that FDAM cannot serve.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: int | Sequence[int] | None = None,
        pretrained: bool | str = False,
        allow_pickle: bool = False,
        in_channels: int = 3,
        out_norm: bool = False,
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
        check_flags(allow_pickle=allow_pickle, out_norm=out_norm, with_cp=with_cp)
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
            features_only=True,
            out_indices=(out_indices,) if isinstance(out_indices, int) else out_indices,
            in_chans=in_channels,
            **{**_any_size(model_name), **settings},
        )
        self.timm_model = self._create()
        self.channels_last = self.timm_model.output_fmt == "NHWC"
        self.feature_info = self.timm_model.feature_info
        self.pad_multiple = pad_multiple or _patch_size(self.timm_model)
        self.out_norms = nn.ModuleList(
            nn.LayerNorm(channels) for channels in self.feature_info.channels() if out_norm
        )
        self.report = self._apply_fdam(fdam)
        if with_cp:
            getattr(self.timm_model, "model", self.timm_model).set_grad_checkpointing(True)
        self.frozen = tuple(frozen)
        self._freeze()

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
        model = getattr(self.timm_model, "model", self.timm_model)  # names as timm's, see frozen
        report = apply_fdam(model, **layers, **where)
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

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        pad_h, pad_w = (-side % self.pad_multiple for side in x.shape[-2:])
        maps = self.timm_model(F.pad(x, (0, pad_w, 0, pad_h)))
        if self.out_norms:
            maps = [self._norm(norm, x) for norm, x in zip(self.out_norms, maps, strict=True)]
        elif self.channels_last:
            maps = [x.permute(0, 3, 1, 2) for x in maps]
        return tuple(x.contiguous() for x in maps)

    def _norm(self, norm: nn.LayerNorm, x: Tensor) -> Tensor:
        x = norm(x if self.channels_last else x.permute(0, 2, 3, 1))
        return x.permute(0, 3, 1, 2)

    def _freeze(self) -> None:
        modules = dict(getattr(self.timm_model, "model", self.timm_model).named_modules())
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

    def train(self, mode: bool = True) -> "FDAMTimmBackbone":
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
    """The state dict in ``file``; averaged weights first, as timm prefers them."""
    try:
        checkpoint = load(file, allow_pickle)
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f"{file} holds more than tensors and plain values; reading it could run code of its "
            "own. If you trust its source, set allow_pickle=True of the backbone: "
            "--cfg-options model.backbone.allow_pickle=True"
        ) from error
    averaged = next((checkpoint[k] for k in _AVERAGED if checkpoint.get(k)), None)
    state = clean_state_dict(averaged or unwrap(checkpoint))
    if not state:  # timm would look elsewhere
        raise CheckpointMismatchError(f"{file} holds no tensors")
    return state


def _create(settings: Mapping[str, Any]) -> nn.Module:
    """timm's model, with ``out_indices`` that exist and ascend."""
    indices = settings["out_indices"]
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
