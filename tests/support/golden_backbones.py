"""Our backbones on the weights and inputs of a golden case, whichever family it is of.

A family has a module ``golden_NAME.py`` beside this one. It has ``build(spec, **options)``, our
backbone with the case's settings, ``NEW``, beginnings of official keys that ImageNet files lack,
and ``CLASSIFIER``, parts of theirs that backbones do without. Where a case's outputs are something
else than the backbone's maps it also has ``outputs``.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdam_mm.checkpoints import convert

FAMILIES = {  # where the official code is, the first word of a case's "official"
    "MzeroMiko/VMamba": "vmamba",
    "SHI-Labs/Neighborhood-Attention-Transformer": "nat",
    "cheerss/CrossFormer": "crossformer",
    "hhb072/STViT": "stvit",
    "ChuanyangZheng/L2ViT": "l2vit",
    "price112/Attentive-Convolution": "attnet",
    "fudan-zvg/SOFT": "soft",
    "OliverRensu/SG-Former": "sgformer",
    "NVlabs/MambaVision": "mambavision",
}
Arrays = dict[str, Tensor] | dict[str, np.ndarray]


def family(spec: dict[str, Any]) -> ModuleType:
    """The module of a case's family."""
    name = FAMILIES[spec["official"].split()[0].rstrip(",")]
    found = spec_from_file_location(name, Path(__file__).with_name(f"golden_{name}.py"))
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def outputs(spec: dict[str, Any], state_dict: Arrays, inputs: Arrays) -> dict[str, Tensor]:
    """Every output that the case names, before thinning.

    Args:
        spec: The case's json.
        state_dict: Its weights under the official keys.
        inputs: Its inputs.
    """
    state, inputs = (
        {name: torch.as_tensor(value) for name, value in arrays.items()}
        for arrays in (state_dict, inputs)
    )
    module = family(spec)
    if hasattr(module, "outputs"):
        return module.outputs(spec, state, inputs)
    model = module.build(spec).eval()
    model.load_state_dict(convert(state))
    with torch.no_grad():
        return {
            f"{name}:{stage}": out
            for name, x in inputs.items()
            for stage, out in zip(model.out_indices, model(x), strict=True)
        }
