"""Masked attention of EoMT: which patches a query may see, and for how long it is told.

Legend of the shape comments: B batch, Q queries, N tokens (queries, prefix, patches), h x w grid.
"""

from collections.abc import Sequence

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn
from torch.nn import functional as F


class AnnealedMasks(nn.Module):
    """Attention masks of the blocks with queries, less and less often as training goes on.

    A query sees the queries, the prefix tokens and the patches that its mask, as predicted before
    the block, holds. In training each query is masked with the block's probability: 1 until a time
    of its own, then ``(1 - progress) ** power`` down to 0, so that a trained model needs no masks
    and no predictions between its blocks. The first block is freed first: as in the authors'
    recipes that takes a sixth of the training, from times spread evenly between 1/6 and 2/3 of it.

    The probabilities are kept with the weights. Outside of training, where nothing is drawn, a
    block is masked while its probability is above a half.

    Args:
        num_blocks: Blocks n.
        power: Of the decline; None masks always.
    """

    probs: Tensor  # (n,)

    def __init__(self, num_blocks: int, power: float | None = 0.9) -> None:
        super().__init__()
        self.power = power
        self.register_buffer("probs", torch.ones(num_blocks))
        # which blocks are masked, read off once: not by every forward, nor by an export
        self.in_training, self.in_evaluation = [True] * num_blocks, [True] * num_blocks
        self.always = [True] * num_blocks
        self.register_load_state_dict_post_hook(_note)

    @torch.compiler.disable
    def advance(self) -> None:
        """Set the probabilities for the iteration that the runner is at; without one they stay."""
        hub = MessageHub.get_current_instance()
        iteration, last = hub.get_info("iter"), hub.get_info("max_iters")
        if self.power is not None and iteration is not None and last:
            self.set(probabilities(len(self.probs), iteration / last, self.power))

    def set(self, probs: Sequence[float]) -> None:
        """Set the probability of each block."""
        self.probs.copy_(torch.tensor(probs))
        _note(self)

    def needed(self, block: int) -> bool:
        """Whether the block (from 0) is masked at all."""
        return (self.in_training if self.training else self.in_evaluation)[block]

    def forward(self, masks: Tensor, block: int, grid: tuple[int, int], num_prefix: int) -> Tensor:
        """What each token may see.

        Args:
            masks: (B, Q, H, W), logits predicted before the block.
            block: Its number, from 0.
            grid: h, w of the patches.
            num_prefix: Tokens between the queries and the patches.

        Returns:
            (B, 1, N, N) bool, True where a token (row) sees another.
        """
        inside = F.interpolate(masks, grid, mode="bilinear", align_corners=False) > 0
        if self.training and not self.always[block]:
            free = torch.rand(masks.shape[:2], device=masks.device) > self.probs[block]
            inside = inside | free[:, :, None, None]
        first = masks.shape[1] + num_prefix
        length = first + grid[0] * grid[1]
        seen = inside.new_ones(masks.shape[0], length, length)
        seen[:, : masks.shape[1], first:] = inside.flatten(2)
        return seen[:, None]


def _note(masking: AnnealedMasks, _: object = None) -> None:
    """Read the blocks that are masked off the probabilities."""
    if not masking.probs.is_meta:
        probs = masking.probs.tolist()
        masking.in_training = [prob > 0 for prob in probs]
        masking.in_evaluation = [prob > 0.5 for prob in probs]
        masking.always = [prob == 1 for prob in probs]


def probabilities(num_blocks: int, progress: float, power: float) -> Sequence[float]:
    """Of each block, at a share of the training from 0 to 1."""
    starts = [1 / 6 + k / (2 * max(num_blocks - 1, 1)) for k in range(num_blocks)]
    return [min(max(1 - 6 * (progress - start), 0.0), 1.0) ** power for start in starts]
