import pytest
import torch

from fdam_mm.models import AttNet
from fdam_mm.models.backbones.attnet import _by_shifts, dynamic_depthwise


def test_convolution_equals_its_definition() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    kernels = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    found, expected = dynamic_depthwise(x, kernels), _by_shifts(x, kernels)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        *(torch.autograd.grad(out.square().sum(), (x, kernels)) for out in (found, expected)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_settings_of_the_small_variants() -> None:
    """No LayerScale, no RMS norm; and kernels of another size."""
    model = AttNet(
        embed_dims=(8, 16, 16, 16),
        depths=(1, 1, 1, 1),
        kernel_sizes=(3, 5, 3, 3),
        glu_norm=(False,) * 4,
        glu_dwconv=(True, True, False, True),
        layer_scale_init=None,
        out_norm=True,
    )
    names = {name for name, _ in model.named_parameters()}
    assert not any("gamma" in name or "channel_mixer.norm" in name for name in names)
    assert "stages.2.blocks.0.channel_mixer.dwconv.weight" not in names
    assert {name for name in names if name.startswith("out_norms.3")}
    assert model(torch.randn(2, 3, 40, 56))[3].shape == (2, 16, 2, 2)


@pytest.mark.slow
def test_exports_for_any_batch() -> None:
    settings = dict(embed_dims=(8, 16), depths=(1, 1), mlp_ratios=(2, 2), kernel_sizes=(3, 3))
    settings.update(glu_dwconv=(True, True), glu_norm=(True, True), layer_scale_init=0.5)
    fdam = dict(att_inv=True, freq_scale=dict(groups=8, mlp_ratio=1))
    model = AttNet(**settings, out_indices=1, fdam=fdam).eval()
    x = torch.randn(2, 3, 32, 40)
    any_batch = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(model, (x,), dynamic_shapes=any_batch).module()
    for batch in (x, x.repeat(2, 1, 1, 1)):
        torch.testing.assert_close(program(batch)[0], model(batch)[0], rtol=1e-4, atol=1e-4)
