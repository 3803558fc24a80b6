"""timm's plain ViTs with LayerScale (``deit3_*``)."""

from collections.abc import Mapping

from torch import Tensor

from .deit import CLASSIFIER
from .renaming import drop_prefixes, has_component, rename


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("ls1.gamma",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {"ls1.gamma": "gamma_1", "ls2.gamma": "gamma_2"}
    return rename(drop_prefixes(state, CLASSIFIER), names)
