"""Denoising, first boxes and proposals against slow references."""

import torch

from fdam_mm.models.mask_dino.denoising import (
    DenoisingQueries,
    denoising_pairs,
    group_mask,
)
from fdam_mm.models.mask_dino.selection import boxes_of_masks, token_proposals
from fdam_mm.models.mask_dino.structures import GroundTruth, to_pixels, to_relative
from fdam_mm.models.mask_dino.transformer import flatten_maps, split_tokens


def truth(count: int) -> GroundTruth:
    centre = 0.3 + 0.4 * torch.rand(count, 2)
    boxes = torch.cat([centre, 0.2 * torch.rand(count, 2)], dim=1)
    masks = torch.zeros(count, 8, 8, dtype=torch.bool)
    return GroundTruth(torch.randint(0, 5, (count,)), boxes, masks)


def test_tokens_and_maps() -> None:
    maps = [torch.randn(2, 4, 3, 5), torch.randn(2, 4, 2, 1)]
    tokens, levels = flatten_maps(maps)
    assert tokens.shape == (2, 17, 4)
    assert levels.starts.tolist() == [0, 15]
    assert all(map(torch.equal, split_tokens(tokens, levels), maps))


def test_boxes_there_and_back() -> None:
    boxes = truth(4).boxes
    torch.testing.assert_close(to_relative(to_pixels(boxes, (30, 50)), (30, 50)), boxes)


def test_first_boxes() -> None:
    masks = torch.zeros(1, 3, 8, 16, dtype=torch.bool)
    masks[0, 0, 2:5, 4:12] = True
    masks[0, 1, 7, 15] = True
    tight = boxes_of_masks(masks, "bitmask")[0]
    assert tight.tolist() == [
        [8 / 16, 3.5 / 8, 8 / 16, 3 / 8],
        [15.5 / 16, 7.5 / 8, 1 / 16, 1 / 8],
        [0, 0, 0, 0],
    ]
    near = boxes_of_masks(masks, "mask2box")[0]
    assert near[:2].tolist() == [[7.5 / 16, 3 / 8, 7 / 16, 2 / 8], [15 / 16, 7 / 8, 0, 0]]
    assert near[2].tolist() == [1, 1, 0, 0]


def test_proposals() -> None:
    _, levels = flatten_maps([torch.zeros(1, 1, 2, 200), torch.zeros(1, 1, 1, 1)])
    boxes = token_proposals(levels, torch.device("cpu")).sigmoid()
    torch.testing.assert_close(boxes[-1], torch.tensor([0.5, 0.5, 0.1, 0.1]))
    torch.testing.assert_close(boxes[100], torch.tensor([100.5 / 200, 0.25, 0.05, 0.05]))
    assert boxes[0].tolist() == [1, 1, 1, 1]  # its centre is too near the edge


def test_denoising_queries() -> None:
    torch.manual_seed(0)
    truths = [truth(2), truth(0), truth(3)]
    noisy = DenoisingQueries(5, 8, num_queries=10)(truths, num_matching_queries=4)
    assert noisy.num_groups == 3
    assert noisy.content.shape == (3, 9, 8)
    assert (noisy.boxes >= 0).all() and (noisy.boxes <= 1).all()
    pairs = denoising_pairs(truths, 9, 3)
    assert pairs[0][0].tolist() == [0, 1, 3, 4, 6, 7]
    assert pairs[0][1].tolist() == [0, 1, 0, 1, 0, 1]
    for image, (query, index) in enumerate(pairs):
        boxes = truths[image].boxes[index]
        moved = (noisy.boxes[image, query] - boxes).abs()
        assert (moved[:, :2] <= 0.2 * boxes[:, 2:] + 1e-6).all()
        assert (moved[:, 2:] <= 0.4 * boxes[:, 2:] + 1e-6).all()
        unused = sorted(set(range(9)) - set(query.tolist()))
        assert (noisy.content[image, unused] == 0).all()
        assert (noisy.boxes[image, unused] == 0.5).all()


def test_noise_of_labels() -> None:
    torch.manual_seed(0)
    queries = DenoisingQueries(1000, 8, label_noise=0.2)
    labels = torch.full((20000,), 7)
    changed = (queries._noisy_labels(labels) != 7).float().mean()
    assert abs(changed - 0.2) < 0.01


def test_no_denoising() -> None:
    queries = DenoisingQueries(5, 8, num_queries=10)
    assert queries([truth(0)], 4) is None
    assert queries([truth(11)], 4) is None


def test_groups_are_separate() -> None:
    mask = group_mask(2, 3, 4, torch.device("cpu"))
    assert mask[6:, :6].all() and not mask[:, 6:].any()
    for row in range(6):
        assert [bool(blocked) for blocked in mask[row, :6]] == [
            column // 2 != row // 2 for column in range(6)
        ]
