"""Weights for pictures of three channels in a model for another number of them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .log import log

_RGB = 3


def fit_input_channels(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the model's first convolution weights for its number of channels, and say so.

    As timm does: one channel gets the sum of the three, others get them in turn, scaled so that a
    grey picture gives what it gave.

    Args:
        model: Its convolution is the first in its state dict.
        state: Under the model's names.

    Returns:
        ``state``, with the adapted weight where it was for three channels and the model is not.
    """
    own = model.state_dict()
    key = next((k for k, v in own.items() if v.ndim == 4 and k.endswith("weight")), None)
    if key is None:
        return dict(state)
    weight = state.get(key)
    if weight is None or weight.ndim != 4 or weight.shape[1] != _RGB:
        return dict(state)
    channels = own[key].shape[1]
    same_otherwise = (
        weight.shape[::2] == own[key].shape[::2] and weight.shape[3] == own[key].shape[3]
    )
    if channels == _RGB or not same_otherwise:
        return dict(state)
    if channels == 1:
        fitted = weight.float().sum(1, keepdim=True)
    else:
        fitted = weight.float()[:, torch.arange(channels) % _RGB] * (_RGB / channels)
    log(f"{key}: weights of 3 input channels became those of {channels}")
    return {**state, key: fitted.to(weight.dtype)}
