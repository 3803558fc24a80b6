"""VMamba's op with several states, against its formula token by token."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.models.backbones.vmamba import SelectiveScan2d


def by_formula(op: SelectiveScan2d, x: Tensor) -> Tensor:
    """One picture (H, W, C) -> the same; the four orders walked one after the other."""
    height, width, _ = x.shape
    u = F.silu(op.conv(op.in_proj(x).permute(2, 0, 1)[None]))[0].permute(1, 2, 0)  # (H, W, D)
    rows = [(i, j) for i in range(height) for j in range(width)]
    columns = [(i, j) for j in range(width) for i in range(height)]
    out = torch.zeros_like(u)
    for k, order in enumerate((rows, columns, rows[::-1], columns[::-1])):
        rates = -op.log_rates.view(4, u.shape[-1], -1)[k].exp()  # (D, N)
        state = torch.zeros_like(rates)
        for i, j in order:
            step, b, c = (op.scan_proj[k] @ u[i, j]).split(op.sections)
            step = F.softplus(op.step_proj[k] @ step + op.step_bias[k])[:, None]
            state = torch.exp(step * rates) * state + step * b * u[i, j][:, None]
            out[i, j] += state @ c + op.skip.view(4, -1)[k] * u[i, j]
    return op.out_proj(op.norm(out))


def test_op_is_the_formula() -> None:
    torch.manual_seed(0)
    off = dict(low=False, high=False)
    op = SelectiveScan2d(
        8, ssm_ratio=2, d_state=3, dt_rank="auto", conv_size=3, conv_bias=True, **off
    ).double()
    nn.init.normal_(op.skip)
    with torch.no_grad():
        op.step_bias += 3
        x = torch.randn(2, 5, 4, 8, dtype=torch.float64)
        torch.testing.assert_close(op(x), torch.stack([by_formula(op, image) for image in x]))


def test_start_is_mambas() -> None:
    op = SelectiveScan2d(64, ssm_ratio=1, d_state=4, dt_rank="auto", conv_size=3, conv_bias=False)
    step = F.softplus(op.step_bias)
    assert 1e-3 <= step.min() < 2e-3 and 5e-2 < step.max() <= 0.1001
    torch.testing.assert_close(op.log_rates[7].exp(), torch.tensor([1.0, 2, 3, 4]))
