"""The grid of a block's tokens, where the patch embedding alone knows it."""

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from fdam_mm.errors import ForwardError

from .adapter import Grid
from .arguments import Args, Kwargs

_Identity = tuple[StorageWeakRef, int | torch.SymInt, int]

_FORWARD = -1  # in the place of the number of a backward pass


class _Thread(threading.local):
    """The grid at which this thread works, and the backward pass in which it does so."""

    grid: Grid | None = None
    run: int = _FORWARD

    def __reduce__(self) -> tuple[Callable, tuple[()]]:
        return type(self), ()


class Grids:
    """Shared by a grid source and the blocks behind it.

    In a forward the grid is the one that the source made last in this thread. Activation
    checkpointing runs blocks again in a backward pass, without the source, often in a thread of
    autograd's, perhaps after other forwards. The inputs that it kept tell which grid they are on:
    those of the first block of each piece were seen in the forward.

    Args:
        grid_of: :meth:`BlockAdapter.grid_of` of one of the blocks.
    """

    def __init__(self, grid_of: Callable[[Grid], Grid]) -> None:
        self.grid_of = grid_of
        self.thread = _Thread()
        self.seen: dict[int, set[Grid]] = {}  # by number of tokens
        self.inputs: dict[_Identity, Grid] = {}  # of blocks, while they live

    def __reduce__(self) -> tuple[Callable, tuple[Callable]]:
        return type(self), (self.grid_of,)  # copies and files start anew

    def record(self, source: nn.Module, args: Args, kwargs: Kwargs, output: Tensor) -> None:
        """Hook of the grid source."""
        grid = self.grid_of((int(output.shape[-2]), int(output.shape[-1])))
        self.seen.setdefault(grid[0] * grid[1], set()).add(grid)
        self.thread.grid, self.thread.run = grid, _run()
        if not torch.compiler.is_compiling() and self.inputs:  # dynamo cannot look at its keys
            self._forget_dead()

    def of(self, x: Tensor, num_prefix_tokens: int) -> Grid:
        """The grid of the tokens (B, prefix + N, C) that enter a block.

        Raises:
            ForwardError: They fit no grid, or nothing tells which of several.
        """
        key = _identity(x)
        grid = self.inputs.get(key) if key is not None else None
        if grid is None:
            grid = self._current(int(x.shape[1]), num_prefix_tokens)
        if key is not None:
            self.inputs[key] = grid
        self.thread.grid, self.thread.run = grid, _run()
        return grid

    def _current(self, length: int, num_prefix_tokens: int) -> Grid:
        num_tokens, thread = length - num_prefix_tokens, self.thread
        grid = thread.grid if thread.run == _run() else None
        if grid is not None and grid[0] * grid[1] == num_tokens:
            return grid
        grids = sorted(self.seen.get(num_tokens, ()))
        if len(grids) == 1:
            return grids[0]
        if grids:
            raise ForwardError(
                f"FreqScale: {num_tokens} tokens may be of the grids {grids}, and this thread has "
                "not run the patch embedding; run it in the thread that runs the blocks, and with "
                "activation checkpointing let a block have the input that was kept, as it is"
            )
        known = sorted(grid for several in self.seen.values() for grid in several)
        raise ForwardError(
            f"FreqScale: {length} tokens of which {num_prefix_tokens} are prefix tokens "
            f"fit no grid that the patch embedding made ({known}); tokens may not be dropped"
        )

    def _forget_dead(self) -> None:
        for key in [key for key in list(self.inputs) if key[0].expired()]:
            self.inputs.pop(key, None)


def _run() -> int:
    """The backward pass that this thread is in, as torch numbers them."""
    return _FORWARD if torch.compiler.is_compiling() else torch._C._current_graph_task_id()


def _identity(x: Tensor) -> _Identity | None:
    """What stays the same when autograd keeps a tensor and gives it back, detached or not."""
    if torch.compiler.is_compiling() or not (x.requires_grad or torch.is_grad_enabled()):
        return None
    try:
        return StorageWeakRef(x.untyped_storage()), x.storage_offset(), x._version
    except (NotImplementedError, RuntimeError):  # torch.func's tensors have no storage
        return None
