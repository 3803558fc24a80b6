"""Parameter groups for FDAM: layer-wise decay, FreqScale's learning rate, no decay on 1-D."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.nn.modules.conv import _ConvNd

from fdam_mm.layers import FreqScale

_SETTINGS = {
    "layer_decay", "num_layers", "layer_rule", "freq_scale_lr_mult", "decay_biases", "custom_keys",
}  # fmt: skip
_RULES = ("beit", "eomt")
_BLOCKS = ("blocks", "timm_model.blocks", "timm_model.model.blocks")  # of ours, of timm's models


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class FDAMOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Learning rates and weight decay as FDAM is trained.

    The learning rate of a parameter is ``lr * layer_decay ** depth * multipliers``: ``depth`` is 0
    for everything outside the backbone, 1 for its last block and ``num_layers + 1`` for its
    patch and position embedding (BEiT's rule). EoMT's rule has 0 for the last block, the norm
    after it and what is no part of timm's model, and for the embeddings the depth of the first
    block; it marks groups of timm's model with ``pretrained``, for
    :class:`TwoStageWarmupPolyLR`. Multipliers: ``freq_scale_lr_mult`` on the
    parameters of every :class:`fdam_mm.layers.FreqScale`, and the ``lr_mult`` of the longest
    ``custom_keys`` entry that the parameter's name contains. Weight decay is off for tensors with
    one dimension (biases, norms, gammas, scalars), for position embeddings and class tokens.

    Args (``paramwise_cfg``):
        layer_decay: Factor per block, 1 for none.
        num_layers: Blocks of the backbone; needed where ``layer_decay`` is not 1.
        layer_rule: ``beit`` or ``eomt``.
        freq_scale_lr_mult: Multiplier of FreqScale's learning rate.
        decay_biases: Decay the biases of linears and convolutions after all, as detectron2's
            recipes do.
        custom_keys: As in mmengine: ``{substring: dict(lr_mult=..., decay_mult=...)}``.

    Raises:
        ValueError: An unknown setting or rule, or a ``layer_decay`` whose ``num_layers`` is not
            the number of the backbone's blocks.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        # mmengine does not ask for groups where paramwise_cfg is empty
        self.paramwise_cfg = dict(layer_decay=1.0) | dict(self.paramwise_cfg)

    def add_params(self, params: list[dict], module: nn.Module, **_: object) -> None:
        cfg = self.paramwise_cfg
        unknown = sorted(set(cfg) - _SETTINGS)
        if unknown:
            raise ValueError(f"paramwise_cfg has no setting {unknown}; it has {sorted(_SETTINGS)}")
        rule = cfg.get("layer_rule", "beit")
        if rule not in _RULES:
            raise ValueError(f"paramwise_cfg.layer_rule is {rule!r}, expected one of {_RULES}")
        decay, blocks = cfg.get("layer_decay", 1.0), ""
        if decay != 1.0 or rule == "eomt":
            blocks = _require_blocks(module, cfg.get("num_layers"))
        scales = {
            id(p) for m in module.modules() if isinstance(m, FreqScale) for p in m.parameters()
        }
        biases = _plain_biases(module) if cfg.get("decay_biases") else set()
        groups: dict[tuple[float, float, bool], dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            lr_mult, decay_mult = self._custom(name)
            if id(param) in scales:
                lr_mult *= cfg.get("freq_scale_lr_mult", 1.0)
            lr_mult *= self._layer_factor(name, blocks)
            pretrained = rule == "eomt" and _in_model(name, blocks)
            one_dim = param.ndim == 1 and id(param) not in biases
            if one_dim or name.endswith(("pos_embed", "cls_token")):
                decay_mult = 0.0
            key = (lr_mult, decay_mult, pretrained)
            group = groups.setdefault(key, dict(params=[], param_names=[]))
            group["params"].append(param)
            group["param_names"].append(name)
        for (lr_mult, decay_mult, pretrained), group in sorted(groups.items()):
            if rule == "eomt":
                group["pretrained"] = pretrained
            group["lr"] = self.base_lr * lr_mult
            if self.base_wd is not None:
                group["weight_decay"] = self.base_wd * decay_mult
            params.append(group)
            print_log(
                f"lr x {lr_mult:.4g}, weight decay x {decay_mult:g}: "
                f"{len(group['params'])} tensors, {group['param_names'][0]} the first",
                logger="current",
                level=logging.DEBUG,
            )

    def _custom(self, name: str) -> tuple[float, float]:
        custom_keys = self.paramwise_cfg.get("custom_keys", {})
        fitting = sorted((k for k in custom_keys if k in name), key=lambda k: (-len(k), k))
        settings = custom_keys[fitting[0]] if fitting else {}
        return settings.get("lr_mult", 1.0), settings.get("decay_mult", 1.0)

    def _layer_factor(self, name: str, blocks: str) -> float:
        decay = self.paramwise_cfg.get("layer_decay", 1.0)
        if decay == 1.0 or not name.startswith("backbone."):
            return 1.0
        rule = self.paramwise_cfg.get("layer_rule", "beit")
        return decay ** _depth(name, blocks, self.paramwise_cfg["num_layers"], rule)


def _depth(name: str, blocks: str, num_layers: int, rule: str) -> int:
    """Steps of decay from the head to a parameter of the backbone."""
    if name.startswith(blocks):
        above = num_layers - 1 - int(name.removeprefix(blocks).partition(".")[0])
        return above if rule == "eomt" else above + 1
    if rule == "beit":
        return num_layers + 1
    norm = blocks.removesuffix("blocks.") + "norm."
    return num_layers - 1 if _in_model(name, blocks) and not name.startswith(norm) else 0


def _plain_biases(module: nn.Module) -> set[int]:
    """Ids of the biases of linears, convolutions and fused attention projections."""
    found = set()
    for part in module.modules():
        if isinstance(part, nn.Linear | _ConvNd):
            found.add(id(part.bias))
        elif isinstance(part, nn.MultiheadAttention):
            found.add(id(part.in_proj_bias))
    return found


def _in_model(name: str, blocks: str) -> bool:
    """Whether a parameter belongs to the model that holds the blocks."""
    return name.startswith(blocks.removesuffix("blocks."))


def _require_blocks(module: nn.Module, num_layers: int | None) -> str:
    """The beginning of the names of the backbone's blocks."""
    for path in _BLOCKS:
        blocks = _get(module.backbone, path)
        if blocks is not None and len(blocks) == num_layers:
            return f"backbone.{path}."
    counts = [len(blocks) for path in _BLOCKS if (blocks := _get(module.backbone, path))]
    found = f"{counts[0]} blocks" if counts else "no blocks"
    raise ValueError(
        f"paramwise_cfg.layer_decay goes by the backbone's blocks: num_layers is "
        f"{num_layers}, {type(module.backbone).__name__} has {found}"
    )


def _get(module: nn.Module, path: str) -> nn.Module | None:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module
