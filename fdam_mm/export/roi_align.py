"""RoIAlignRotated by gathering, for which ONNX has operators.

Legend of the shape comments: P boxes, C channels, s x s bins, n samples along a bin's side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pool_rotated(
    maps: Sequence[Tensor],
    boxes: Tensor,
    scales: Sequence[float],
    finest: float,
    bins: int | tuple[int, int],
    samples: int,
) -> Tensor:
    """As mmrotate's ``RotatedSingleRoIExtractor`` with mmcv's ``RoIAlignRotated``, clockwise.

    Args:
        maps: (1, C, H, W) of each level.
        boxes: (P, 5) cx, cy, w, h in pixels and the angle.
        scales: Of each level, its pixels over the picture's.
        finest: Side of the boxes up to twice which go to the first level.
        bins: s.
        samples: n.

    Returns:
        (P, C, s, s).
    """
    side = bins if isinstance(bins, int) else bins[0]
    level = torch.log2((boxes[:, 2] * boxes[:, 3]).sqrt() / finest + 1e-6).floor()
    level = level.clamp(0, len(maps) - 1).long()  # (P,)
    sizes = [(m.shape[2], m.shape[3]) for m in maps]
    starts = torch.tensor([0, *(h * w for h, w in sizes)]).cumsum(0)[:-1][level]
    heights, widths = (torch.tensor(side_of)[level] for side_of in zip(*sizes, strict=True))
    scale = torch.tensor(scales)[level]  # (P,)
    pixels = torch.cat([m[0].flatten(1) for m in maps], dim=1).t()  # (all pixels, C)
    offsets = (torch.arange(side * samples) + 0.5) / (side * samples) - 0.5
    total = None
    for row in range(samples):
        for column in range(samples):
            y, x = _points(boxes, scale, offsets[row::samples], offsets[column::samples])
            found = _bilinear(pixels, y, x, starts, heights, widths)
            total = found if total is None else total + found
    assert total is not None
    return (total / samples**2).permute(0, 2, 1).unflatten(2, (side, side))


def _points(boxes: Tensor, scale: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """y and x (P, s * s) in the pixels of the level; corners of a map's pixels lie at -0.5."""
    cx, cy, width, height, angle = boxes.unbind(-1)
    down = (rows[None] * (height * scale)[:, None])[:, :, None]  # (P, s, 1)
    right = (columns[None] * (width * scale)[:, None])[:, None]  # (P, 1, s)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    x = right * cosine - down * sine + (cx * scale - 0.5)[:, None, None]
    y = right * sine + down * cosine + (cy * scale - 0.5)[:, None, None]
    return y.flatten(1), x.flatten(1)


def _bilinear(
    pixels: Tensor, y: Tensor, x: Tensor, starts: Tensor, heights: Tensor, widths: Tensor
) -> Tensor:
    """(P, s * s, C): zero farther than a pixel outside, the border's value up to there."""
    starts, heights, widths = starts[:, None], heights[:, None], widths[:, None]
    inside = (y >= -1) & (y <= heights) & (x >= -1) & (x <= widths)
    y, x = (
        torch.minimum(y.clamp(min=0), heights - 1.0),
        torch.minimum(x.clamp(min=0), widths - 1.0),
    )
    top, left = y.floor(), x.floor()
    down, right = (y - top)[..., None], (x - left)[..., None]
    top, left = top.long(), left.long()
    bottom, far = torch.minimum(top + 1, heights - 1), torch.minimum(left + 1, widths - 1)

    def at(row: Tensor, column: Tensor) -> Tensor:
        return pixels[(starts + row * widths + column).flatten()].unflatten(0, row.shape)

    upper = at(top, left) * (1 - right) + at(top, far) * right
    lower = at(bottom, left) * (1 - right) + at(bottom, far) * right
    return (upper * (1 - down) + lower * down) * inside[..., None]
