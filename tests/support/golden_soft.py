"""Our SOFT on a golden case's weights and inputs."""

import math
from typing import Any

import torch
from torch import Tensor

from fdam_mm.checkpoints import convert
from fdam_mm.models import SOFT

NEW = ()
CLASSIFIER = ("head",)


def build(spec: dict[str, Any], **options: Any) -> SOFT:
    build = spec["build"]
    positions = next(shape[1] for key, shape, *_ in spec["keys"] if key == "pos_embed1")
    return SOFT(
        img_size=4 * math.isqrt(positions),
        embed_dims=build["embed_dims"],
        depths=build["depths"],
        num_heads=build["num_heads"],
        mlp_ratio=build["mlp_ratios"][3],
        normalized=build["normalized"],
        newton_iterations=build["newton_max_iter"],
        **options,
    )


def outputs(
    spec: dict[str, Any], state_dict: dict[str, Tensor], inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Every output that the case names, before thinning."""
    model = build(spec).eval()
    model.load_state_dict(convert(state_dict, source="soft"))
    found = {}
    for name, x in inputs.items():
        with torch.no_grad(), _last_tokens(model) as tokens:
            maps = model(x)
        found.update({f"{name}:{index}": maps[index] for index in range(3)})
        found[f"{name}:tokens3"] = tokens[0]
    return found


class _last_tokens:
    """What the last norm gives: the class token and the last map's."""

    def __init__(self, model: SOFT) -> None:
        self.norm, self.found = model.stages[3].norm, []

    def __enter__(self) -> list[Tensor]:
        self.hook = self.norm.register_forward_hook(lambda _, __, out: self.found.append(out))
        return self.found

    def __exit__(self, *_: Any) -> None:
        self.hook.remove()
