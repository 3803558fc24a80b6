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
    used = {k: v for k, v in state.items() if not _is_idle(k, state)}
    return rename(used, _NAMES)


def _is_idle(key: str, state: Mapping[str, Tensor]) -> bool:
    """Whether ``key`` is the activation of an attention without gates.

    An official attention with both paths off keeps it, unused; ours has none then.
    """
    attention, activation, _ = key.rpartition("dy_freq_starrelu.")
    gates = (f"{attention}{gate}.weight" for gate in ("dy_freq", "dy_freq_2"))
    return (
        bool(activation)
        and f"{attention}qkv.weight" in state  # a whole attention, not a part of one
        and not any(gate in state for gate in gates)
    )
