"""The released FDAM models: a segmentor of mmseg 0.x, or a part of one."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import has_component, rename

_NAMES = {
    "dy_freq_2": "att_inv.low_gate",
    "dy_freq": "att_inv.high_gate",
    "dy_freq_starrelu": "att_inv.act",
    "lf_gamma": "att_inv.low_gamma",
    "hf_gamma": "att_inv.high_gamma",
    "complex_weights": "bases",  # real, whatever the official name says
}


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, _NAMES)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return rename(state, _NAMES)
