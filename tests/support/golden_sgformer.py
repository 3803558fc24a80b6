"""Our SG-Former's pieces on a golden case's weights and inputs.

Sorting swaps tokens that differ by rounding, so that a whole model cannot be compared.
"""

from typing import Any

import torch
from torch import Tensor

from fdam_mm.checkpoints import convert
from fdam_mm.models import SGFormer

NEW = ()
CLASSIFIER = ("head",)


def build(spec: dict[str, Any], **options: Any) -> SGFormer:
    build = spec["build"]
    names = ("img_size", "embed_dims", "depths", "num_heads", "mlp_ratios")
    return SGFormer(**{name: build[name] for name in names}, **options)


def outputs(
    spec: dict[str, Any], state_dict: dict[str, Tensor], inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Every output that the case names, before thinning."""
    model = build(spec).eval()
    model.load_state_dict(convert(state_dict, source="sgformer"))
    found = {}
    with torch.no_grad():
        for name, x in inputs.items():
            if name.startswith("tokens."):
                ranks = inputs.get(name.replace("tokens.", "mask."))
                found.update(_stage(model, name.removeprefix("tokens."), x, ranks))
            elif not name.startswith("mask."):
                found["stem"] = model.stages[0].embed(x.permute(0, 2, 3, 1)).flatten(1, 2)
    return {name: found[name] for name in spec["outputs"]}


def _stage(model: SGFormer, place: str, tokens: Tensor, drawn: Tensor | None) -> dict[str, Tensor]:
    """The pieces of stage S on the grid HxW, ``place`` being "S:HxW"."""
    index, _, grid = place.partition(":")
    hw = tuple(int(side) for side in grid.split("x"))
    stage, x = model.stages[int(index)], tokens.unflatten(1, hw)
    found = {f"norm.{place}": stage.norm(tokens)}
    if int(index) == 3:
        return found | {f"plain.{place}": stage.blocks[0](x, None)[0].flatten(1, 2)}
    hybrid, significance = stage.blocks[0](x, None)
    ranks = drawn.argsort(dim=1, stable=True).argsort(dim=1).to(tokens.dtype).unflatten(1, hw)
    guided, _ = stage.blocks[1](x, ranks)
    return found | {
        f"hybrid.{place}": hybrid.flatten(1, 2),
        f"significance1.{place}": significance.flatten(1),
        f"significance2.{place}": significance.transpose(1, 2).flatten(1),
        f"guided.{place}": guided.flatten(1, 2),
        f"merge.{place}": model.stages[int(index) + 1].embed(x).flatten(1, 2),
    }
