"""What the authors' files of the families of stages have beside the golden cases' keys."""

import torch
from support.golden import load_case

from fdam_mm.checkpoints import SOURCES, convert, detect


def test_vmamba_with_linears_as_1x1_convolutions() -> None:
    state = load_case("vmamba_tiny").state
    mapped = {
        key: value[:, :, None, None] if value.ndim == 2 and "proj.weight" in key else value
        for key, value in state.items()
    }
    assert sum(value.ndim == 4 for value in mapped.values()) > sum(
        value.ndim == 4 for value in state.values()
    )
    for key, value in convert(mapped).items():
        assert torch.equal(value, convert(state)[key]), key


def test_stvits_constant_filters_are_left_out() -> None:
    case = load_case("stvit_tiny")
    constant = {key: torch.eye(9).view(shape) for key, shape, _ in case.spec["constant_keys"]}
    assert convert(case.state | constant).keys() == convert(case.state).keys()


def test_stages_move_their_downsampling_to_the_next() -> None:
    for family, name, key in [
        ("vmamba", "vmamba_tiny", "layers.1.downsample.1.weight"),
        ("nat", "dinat_tiny", "levels.1.downsample.reduction.weight"),
        ("stvit", "stvit_tiny", "layers.1.downsample.proj.0.weight"),
    ]:
        state = load_case(name).state
        assert detect(state) == family
        assert torch.equal(convert(state)["stages.2.embed.proj.weight"], state[key])


def test_alike_layouts_are_told_apart() -> None:
    cases = dict(vmamba="vmamba", nat="dinat", crossformer="crossformer", stvit="stvit")
    for family, case in cases.items():
        state = load_case(f"{case}_tiny").state
        assert [name for name, source in SOURCES.items() if source.matches(state)] == [family]
