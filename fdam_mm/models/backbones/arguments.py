"""Checking what the backbones are given, and building the norms and activations they name."""

import warnings
from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any

from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import nn

from fdam_mm.errors import ConfigError

LAYER_NORM = dict(type="LN", eps=1e-6)
BATCH_NORM = dict(type="BN", requires_grad=True)
GELU = dict(type="GELU")
_NORMS_OF_MAPS = (nn.modules.batchnorm._NormBase, nn.GroupNorm)


def check_counts(least: int = 1, **counts: int) -> None:
    """Raise ConfigError unless all are whole numbers from ``least`` on."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}, expected a whole number")
        if value < least:
            raise ConfigError(f"{name} is {value}, expected {least} or more")


def check_rates(**rates: float) -> None:
    """Raise ConfigError unless all are numbers from 0 to below 1."""
    for name, value in rates.items():
        if not _is_number(value) or not 0 <= value < 1:
            raise ConfigError(f"{name} is {value!r}, expected a number from 0 to below 1")


def check_positive(**numbers: float) -> None:
    """Raise ConfigError unless all are numbers above 0."""
    for name, value in numbers.items():
        if not _is_number(value) or not 0 < value < float("inf"):
            raise ConfigError(f"{name} is {value!r}, expected a number above 0")


def check_numbers(**numbers: float) -> None:
    """Raise ConfigError unless all are finite numbers."""
    for name, value in numbers.items():
        if not _is_number(value) or not isfinite(value):
            raise ConfigError(f"{name} is {value!r}, expected a number")


def check_flags(**flags: bool) -> None:
    """Raise ConfigError unless all are True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}, expected True or False")


def check_frozen_stages(frozen_stages: int, most: int) -> None:
    """Raise ConfigError unless it is a whole number from -1 to ``most``."""
    check_counts(least=-1, frozen_stages=frozen_stages)
    if frozen_stages > most:
        raise ConfigError(f"frozen_stages {frozen_stages} is outside, expected -1 .. {most}")


def check_per_stage(**settings: Sequence[int]) -> None:
    """Raise ConfigError unless all are sequences of whole numbers from 1 on."""
    for name, values in settings.items():
        check_sequence(name, values)
        for stage, value in enumerate(values):
            check_counts(**{f"{name}[{stage}]": value})


def check_sequence(name: str, values: Any) -> None:
    """Raise ConfigError unless ``values`` is a list or tuple."""
    if not isinstance(values, list | tuple):
        raise ConfigError(f"{name} is {values!r}, expected a list, one value per stage")


def check_sequences(**settings: Any) -> None:
    """Raise ConfigError unless all are lists or tuples."""
    for name, values in settings.items():
        check_sequence(name, values)


def check_ratios(**settings: Sequence[float]) -> None:
    """Raise ConfigError unless all are sequences of numbers above 0."""
    for name, values in settings.items():
        check_positive(**{f"{name}[{stage}]": value for stage, value in enumerate(values)})


def check_number_or_none(**numbers: float | None) -> None:
    """Raise ConfigError unless all are finite numbers, or None."""
    check_numbers(**{name: value for name, value in numbers.items() if value is not None})


def two_sides(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Height and width: one number, alone or in a sequence, is both.

    Raises:
        ConfigError: Neither one nor two whole numbers from 1 on.
    """
    sides = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(sides) not in (1, 2):
        raise ConfigError(f"{name} is {value!r}, expected one or two numbers")
    for side in sides:
        check_counts(**{name: side})
    return sides[0], sides[-1]


def norm_of_tokens(norm_cfg: Mapping[str, Any], dim: int) -> nn.Module:
    """The norm that ``norm_cfg`` names, for tokens (B, N, C).

    Raises:
        ConfigError: It cannot be built, or is one for maps.
    """
    norm = _norm(norm_cfg, dim)
    if isinstance(norm, _NORMS_OF_MAPS):
        raise ConfigError(f"norm_cfg is {norm_cfg!r}, expected a norm of tokens: {LAYER_NORM!r}")
    return norm


def norm_of_maps(norm_cfg: Mapping[str, Any], dim: int) -> nn.Module:
    """The norm that ``norm_cfg`` names, for maps (B, C, H, W).

    Raises:
        ConfigError: It cannot be built, or is one for tokens.
    """
    norm = _norm(norm_cfg, dim)
    if type(norm) is nn.LayerNorm:
        raise ConfigError(f"norm_cfg is {norm_cfg!r}, expected a norm of maps: {BATCH_NORM!r}")
    return norm


def activation(act_cfg: Mapping[str, Any]) -> nn.Module:
    """The activation that ``act_cfg`` names.

    Raises:
        ConfigError: It cannot be built.
    """
    _check_layer_cfg("act_cfg", act_cfg, GELU)
    try:
        return build_activation_layer(act_cfg)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"act_cfg {act_cfg!r} cannot be built: {error}") from error


def start_from(
    init_cfg: Mapping[str, Any] | None, pretrained: str | None = None
) -> Mapping[str, Any] | None:
    """``init_cfg``, made from the deprecated ``pretrained`` where that is given.

    Raises:
        ConfigError: Both are given, or one is of another type.
    """
    if not isinstance(init_cfg, Mapping | list | None):
        raise ConfigError(
            f"init_cfg is {init_cfg!r}, expected None or dict(type='Pretrained', checkpoint=...)"
        )
    if pretrained is None:
        return init_cfg
    if not isinstance(pretrained, str):
        raise ConfigError(f"pretrained is {pretrained!r}, expected a path or None")
    if init_cfg is not None:
        raise ConfigError("give init_cfg or pretrained, not both")
    message = 'pretrained is deprecated, use init_cfg=dict(type="Pretrained", checkpoint=...)'
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return dict(type="Pretrained", checkpoint=pretrained)


def _norm(norm_cfg: Mapping[str, Any], dim: int) -> nn.Module:
    _check_layer_cfg("norm_cfg", norm_cfg, LAYER_NORM)
    try:
        return build_norm_layer(norm_cfg, dim)[1]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"norm_cfg {norm_cfg!r} cannot be built: {error}") from error


def _check_layer_cfg(name: str, cfg: Any, example: Mapping[str, Any]) -> None:
    if not isinstance(cfg, Mapping) or "type" not in cfg:
        raise ConfigError(f"{name} is {cfg!r}, expected a dict with a type: {example!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
