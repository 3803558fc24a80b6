"""Two-stage query selection: the encoder's tokens as proposals, and the decoder's first boxes.

Legend of the shape comments: B batch, Q queries, N tokens, C channels, h x w a mask's grid.
"""

from typing import Literal

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from .transformer import Levels, centres

InitBox = Literal["bitmask", "mask2box"]
_SIDE = 0.05  # of a proposal on the first level, doubled from level to level


class TokenSelection(BaseModule):
    """Projects the memory and keeps the tokens with the largest class logit.

    Args:
        embed_dims: Channels C.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.project = nn.Linear(embed_dims, embed_dims)
        self.norm = nn.LayerNorm(embed_dims)

    def forward(
        self,
        memory: Tensor,
        levels: Levels,
        class_head: nn.Module,
        box_head: nn.Module,
        num_queries: int,
    ) -> tuple[Tensor, Tensor]:
        """Select.

        Args:
            memory: (B, N, C).
            levels: Levels of ``memory``.
            class_head: (B, N, C) -> logits (B, N, K).
            box_head: (B, N, C) -> (B, N, 4), what is added to a proposal's logits.
            num_queries: Tokens to keep, Q.

        Returns:
            The kept tokens (B, Q, C), and the logits of their boxes (B, Q, 4). A token whose
            proposal leaves 0.01 .. 0.99 counts as zeros and has infinite logits.

        Raises:
            ValueError: Fewer tokens than queries.
        """
        if memory.shape[1] < num_queries:
            raise ValueError(
                f"{num_queries} queries cannot be selected from {memory.shape[1]} tokens "
                f"(grids {levels.sizes}); use larger images or fewer num_queries"
            )
        proposals = token_proposals(levels, memory.device)  # (N, 4)
        valid = proposals.isfinite().all(-1, keepdim=True)
        tokens = self.norm(self.project(memory.masked_fill(~valid, 0.0)))
        best = class_head(tokens).max(-1).values.topk(num_queries, dim=1).indices  # (B, Q)
        tokens = tokens.gather(1, best.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
        return tokens, box_head(tokens) + proposals[best]


def token_proposals(levels: Levels, device: torch.device) -> Tensor:
    """(N, 4): logits of a box around each token, infinite where it leaves 0.01 .. 0.99."""
    boxes = []
    for index, size in enumerate(levels.sizes):
        centre = centres(size, device)
        boxes.append(torch.cat([centre, torch.full_like(centre, _SIDE * 2**index)], dim=-1))
    boxes = torch.cat(boxes)
    inside = ((boxes > 0.01) & (boxes < 0.99)).all(-1, keepdim=True)
    return torch.logit(boxes).masked_fill(~inside, float("inf"))


def boxes_of_masks(masks: Tensor, kind: InitBox) -> Tensor:
    """Tight boxes of masks, as the decoder's first boxes.

    Args:
        masks: (B, Q, h, w) bool.
        kind: ``bitmask``: up to the far edge of the last pixel, zeros for an empty mask.
            ``mask2box``: up to its near edge; an empty mask gives the far corner without extent.

    Returns:
        (B, Q, 4), cx cy w h in 0..1.
    """
    height, width = masks.shape[-2:]
    x1, x2, empty = _extent(masks.any(-2))
    y1, y2, _ = _extent(masks.any(-1))
    if kind == "bitmask":
        x2, y2 = x2 + 1, y2 + 1
    scale = torch.tensor([width, height] * 2, device=masks.device)
    boxes = torch.stack([x1 + x2, y1 + y2, 2 * (x2 - x1), 2 * (y2 - y1)], dim=-1) / (2 * scale)
    nothing = [0.0, 0.0, 0.0, 0.0] if kind == "bitmask" else [1.0, 1.0, 0.0, 0.0]
    return torch.where(empty.unsqueeze(-1), boxes.new_tensor(nothing), boxes)


def _extent(line: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First and last True of (..., n) bools, and whether there is none."""
    line = line.int()
    return line.argmax(-1), line.shape[-1] - 1 - line.flip(-1).argmax(-1), line.amax(-1) == 0
