"""Denoising queries: ground truth with noise, which the decoder has to restore.

Legend of the shape comments: B batch, C channels, n objects of one image, m of the image with
most, g groups, T objects of all images, Q matching queries.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from .structures import GroundTruth


class NoisyQueries(NamedTuple):
    """Denoising queries of a batch, group after group; an image with fewer objects is padded."""

    content: Tensor  # (B, g * m, C)
    boxes: Tensor  # (B, g * m, 4) cx cy w h in 0..1
    mask: Tensor  # (g * m + Q, g * m + Q) for the self-attention, True where it must not look
    num_groups: int


class DenoisingQueries(BaseModule):
    """Draws groups of noisy copies of the ground truth (DN-DETR, arXiv 2203.01305).

    Every group holds each object once. A label is replaced by a random one with probability
    ``label_noise``; centre and size of a box are moved by up to ``box_noise`` times half its size
    and its size. Groups see the matching queries and themselves alone.

    Args:
        num_classes: Classes.
        embed_dims: Channels C.
        num_queries: Queries aimed at; there are ``num_queries // m`` groups, none beyond.
        label_noise: Probability of another label.
        box_noise: Noise of the boxes, relative.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int,
        num_queries: int = 100,
        label_noise: float = 0.2,
        box_noise: float = 0.4,
    ) -> None:
        super().__init__()
        self.num_queries, self.label_noise, self.box_noise = num_queries, label_noise, box_noise
        self.label_embed = nn.Embedding(num_classes, embed_dims)

    def forward(
        self, truths: Sequence[GroundTruth], num_matching_queries: int
    ) -> NoisyQueries | None:
        """Draw; None without objects, or with more than ``num_queries`` of them in one image."""
        most = max(len(truth.labels) for truth in truths)
        num_groups = self.num_queries // most if most else 0
        if num_groups == 0:
            return None
        labels = self._noisy_labels(torch.cat([t.labels for t in truths]).repeat(num_groups))
        boxes = self._noisy_boxes(torch.cat([t.boxes for t in truths]).repeat(num_groups, 1))
        image, query = _places(truths, most, num_groups)
        shape = (len(truths), num_groups * most)
        content = self.label_embed.weight.new_zeros(*shape, self.label_embed.embedding_dim)
        padded = boxes.new_full((*shape, 4), 0.5)
        return NoisyQueries(
            content.index_put((image, query), self.label_embed(labels)),
            padded.index_put((image, query), boxes),
            group_mask(most, num_groups, num_matching_queries, boxes.device),
            num_groups,
        )

    def _noisy_labels(self, labels: Tensor) -> Tensor:
        """(g * T,) -> (g * T,)."""
        chosen = torch.nonzero(torch.rand_like(labels.float()) < self.label_noise).squeeze(1)
        others = torch.randint_like(chosen, 0, self.label_embed.num_embeddings)
        return labels.scatter(0, chosen, others)

    def _noisy_boxes(self, boxes: Tensor) -> Tensor:
        """(g * T, 4) -> (g * T, 4)."""
        reach = torch.cat([boxes[:, 2:] / 2, boxes[:, 2:]], dim=1) * self.box_noise
        return (boxes + (torch.rand_like(boxes) * 2 - 1) * reach).clamp(0, 1)


def _places(truths: Sequence[GroundTruth], most: int, num_groups: int) -> tuple[Tensor, Tensor]:
    """Image and query of each noisy copy, (g * T,) both: group by group, image by image."""
    device = truths[0].labels.device
    counts = torch.tensor([len(truth.labels) for truth in truths], device=device)
    image = torch.arange(len(truths), device=device).repeat_interleave(counts)
    query = torch.cat([torch.arange(len(truth.labels), device=device) for truth in truths])
    groups = torch.arange(num_groups, device=device)[:, None] * most
    return image.repeat(num_groups), (groups + query).flatten()


def group_mask(size: int, num_groups: int, num_matching: int, device: torch.device) -> Tensor:
    """Self-attention mask of ``num_groups`` groups of ``size`` queries before the matching ones:
    nobody sees a group but the group itself."""
    group = torch.arange(size * num_groups + num_matching, device=device) // size
    group[size * num_groups :] = num_groups
    return (group != group[:, None]) & (group < num_groups)


def denoising_pairs(
    truths: Sequence[GroundTruth], num_queries: int, num_groups: int
) -> list[tuple[Tensor, Tensor]]:
    """Query and object of each noisy copy, per image, group by group."""
    pairs = []
    for truth in truths:
        index = torch.arange(len(truth.labels), device=truth.labels.device)
        groups = torch.arange(num_groups, device=index.device) * (num_queries // num_groups)
        pairs.append(((groups[:, None] + index).flatten(), index.repeat(num_groups)))
    return pairs
