"""Fully sharded data parallel training (FSDP2, arXiv 2304.11277): a part of all for each process.

Weights, gradients and the optimizer's state are torch's ``DTensor``, of which a process holds its
rows. The parameters of a block are gathered before its forward and its backward, and let go after.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.utils import apply_to
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from fdam_mm.errors import ConfigError

_LISTS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


def shard(model: nn.Module, blocks: Sequence[str] | None = None) -> list[str]:
    """Shard a model over all processes, in place; each of them must hold the same weights.

    Parameters are gathered as they are, in float32: in 16 bits the float32 islands of FDAM's
    layers would get rounded ones, and a validation, which is outside of autocast, would fail.

    Args:
        model: Called as a module, so that hooks run; on any device.
        blocks: Names, with ``*``, of the modules that are gathered one at a time; None takes
            :func:`find_blocks`. What lies outside of them is gathered for the whole forward.

    Returns:
        Names of the blocks.

    Raises:
        ConfigError: A name fits no module.
    """
    names = find_blocks(model) if blocks is None else _named(model, blocks)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(device, (get_world_size(),))
    for name in names:
        fully_shard(model.get_submodule(name), mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    return names


def find_blocks(model: nn.Module) -> list[str]:
    """Names of the modules that a network is a stack of: a backbone's blocks, a decoder's layers.

    They are what lists of modules hold, without bare layers, which have no modules in them. Where
    most of such a module is blocks itself (a stage), those count in its place.
    """
    return [name for name, _ in _blocks(model, "")]


def _blocks(module: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    found = []
    for key, child in module.named_children():
        path = f"{name}.{key}" if name else key
        inner = _blocks(child, path)
        is_item = isinstance(module, _LISTS) and not isinstance(child, _LISTS)
        most = 2 * sum(_size(block) for _, block in inner) > _size(child)
        if is_item and not most and any(child.children()) and _size(child):
            inner = [(path, child)]
        found += inner
    return found


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _named(model: nn.Module, patterns: Iterable[str]) -> list[str]:
    names = [name for name, _ in model.named_modules() if name]
    found = {pattern: [n for n in names if fnmatch(n, pattern)] for pattern in patterns}
    for pattern, fitting in found.items():
        if not fitting:
            raise ConfigError(f"sharding.blocks: {pattern!r} fits no module of the model")
    # The inner ones first, as fully_shard wants it.
    return sorted({n for fitting in found.values() for n in fitting}, key=lambda n: -n.count("."))


def shard_optimizer(
    optimizer: Optimizer, before: dict[str, nn.Parameter], model: nn.Module
) -> None:
    """Give an optimizer the sharded parameters, and a part of what it keeps of each.

    Args:
        optimizer: Of the whole parameters; its state is alike on all processes.
        before: These, by name.
        model: Sharded since.
    """
    after = dict(model.named_parameters())
    new = {parameter: after[name] for name, parameter in before.items()}
    for group in optimizer.param_groups:
        group["params"] = [new[parameter] for parameter in group["params"]]
    for old in list(optimizer.state):
        kept = optimizer.state.pop(old)
        optimizer.state[new[old]] = {k: own_part(v, new[old]) for k, v in kept.items()}


def own_part(value: Any, parameter: Tensor) -> Any:
    """This process's part of a tensor that is as large as a sharded parameter; else as it is."""
    sharded = isinstance(parameter, DTensor)
    if not sharded or not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(value.to(parameter.device), mesh, placements, src_data_rank=None)


def gathered(state: Any) -> Any:
    """Whole CPU tensors in place of the sharded ones, in dicts and lists; all have to call it."""
    with torch.no_grad():
        return apply_to(state, lambda v: isinstance(v, DTensor), lambda v: v.full_tensor().cpu())
