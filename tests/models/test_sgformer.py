import pytest
import torch

from fdam_mm.models.backbones.position import sincos_position
from fdam_mm.models.backbones.sgformer import GuidedAttention, HybridAttention, _whole_groups


def test_last_group_is_made_whole_by_the_tokens_before() -> None:
    device = torch.device("cpu")
    assert _whole_groups(6, 3, device).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert _whole_groups(7, 3, device).tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert _whole_groups(2, 3, device).tolist() == [[1, 0, 1]]
    assert _whole_groups(0, 3, device).tolist() == []


@pytest.mark.parametrize("hw", [(14, 14), (10, 13), (8, 8)])
def test_windows_do_not_attend_to_what_makes_them_whole(hw: tuple[int, int]) -> None:
    """All attention that a map gives it receives: once from afar, once within windows."""
    torch.manual_seed(0)
    attention = HybridAttention(16, 4, 2, low=False, high=False)
    x = torch.randn(2, *hw, 16)
    _, _, far = attention._attend_far(x)
    _, _, near = attention._attend_near(x)
    assert far.shape == near.shape == (2, *hw)
    windows = -(-hw[0] // 7) * -(-hw[1] // 7)
    torch.testing.assert_close(near.sum((1, 2)), torch.full((2,), float(windows)))


def test_merging_takes_neighbours_in_significance() -> None:
    """Here of the four of ascending significance two become one, and two stay."""
    attention = GuidedAttention(4, 2, (2, 1), (0.5, 1.0), low=False, high=False)
    for merge in attention.merges:
        torch.nn.init.ones_(merge.weight)
        torch.nn.init.zeros_(merge.bias)
    x = torch.arange(4.0).view(1, 2, 2, 1).expand(-1, -1, -1, 4)
    significance = torch.tensor([[[3.0, 0.0], [1.0, 2.0]]])
    assert attention._merge(x, significance)[0, :, 0].tolist() == [3.0, 3.0, 0.0]


def test_position_is_of_sines_and_cosines() -> None:
    position = sincos_position(8, (3, 4)).view(3, 4, 8)
    column, row = torch.tensor(2.0), torch.tensor(1.0)
    for at, value in (
        (0, column.sin()),
        (2, column.cos()),
        (4, row.sin()),
        (7, (row / 100).cos()),
    ):
        torch.testing.assert_close(position[1, 2, at], value)
