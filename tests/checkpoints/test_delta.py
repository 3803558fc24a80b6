"""What a fine-tuning trained, in a file of its own."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fdam_mm import freeze_except_fdam
from fdam_mm.checkpoints import load, load_delta, save_delta
from fdam_mm.checkpoints.delta import fingerprint
from fdam_mm.errors import CheckpointError, CheckpointMismatchError
from fdam_mm.layers import FreqScale


class Model(nn.Module):
    """FDAM, a base and a head."""

    def __init__(self, classes: int = 3, fdam: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.base = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32))
        self.register_buffer("mask", torch.tensor([-torch.inf, 0.0]))
        torch.manual_seed(classes)
        self.scale = FreqScale(32) if fdam else nn.Identity()
        self.head = nn.Linear(32, classes)
        for parameter in self.scale.parameters():
            nn.init.normal_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(
            self.scale(self.base(x).unflatten(0, (-1, 4)).flatten(0, 1)[None], (2, 4))
        )


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    save_delta(Model(), tmp_path / "delta.safetensors", also="head")
    return tmp_path / "delta.safetensors"


def test_it_holds_what_was_trained_and_no_more(delta: Path) -> None:
    model = Model()
    freeze_except_fdam(model, also="head")
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sorted(load(delta)) == sorted(trained)
    twin = Model()
    for name in trained:
        nn.init.zeros_(twin.get_parameter(name))
    load_delta(twin, delta)
    for key, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


def test_rounding_of_the_base_is_no_other_base(delta: Path) -> None:
    model = Model()
    with torch.no_grad():
        model.base[0].weight *= 1 + 1e-7
        load_delta(model, delta)
        model.base[0].weight[3, 5] += 1e-3
    with pytest.raises(CheckpointMismatchError, match=r"1 of 8 tensors .* base\.0\.weight"):
        load_delta(model, delta)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model(fdam=False), r"(?s)not in the model: scale\."),
        (Model(classes=5), r"2 of another shape: head\.weight \[3, 32\], the model's \[5, 32\]"),
        (
            nn.ModuleDict({**Model()._modules, "neck": nn.Linear(2, 2)}),
            r"2 in neither the delta nor its base: neck\.weight, neck\.bias",
        ),
    ],
)
def test_another_model(model: nn.Module, message: str, delta: Path) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=message):
        load_delta(model, delta)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_other_files_are_refused(delta: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_file(load(delta), plain)
    with pytest.raises(CheckpointError, match="no delta of version 1"):
        load_delta(Model(), plain)
    with safe_open(delta, "pt") as file:
        metadata = file.metadata()
    for base in ("{", "[]", '{"mask": 1}', '{"mask": ["a", 1, 1]}'):
        save_file(load(delta), plain, {**metadata, "base": base})
        with pytest.raises(CheckpointError, match="is a damaged delta"):
            load_delta(Model(), plain)
    save_file(load(delta), plain, {**metadata, "fdam_delta": "2"})
    with pytest.raises(CheckpointError, match="of version 2"):
        load_delta(Model(), plain)
    with pytest.raises(CheckpointError, match=r"a delta is a file \*\.safetensors"):
        save_delta(Model(), tmp_path / "delta.pth")


def test_fingerprints_tell_tensors_apart() -> None:
    x = torch.arange(12.0).view(3, 4)
    assert fingerprint(x) == fingerprint(x.clone())
    assert len({json.dumps(fingerprint(t)) for t in (x, x.flip(0), x.T, -x, x.view(4, 3))}) == 5
    assert fingerprint(torch.tensor(3))[0] == [] and fingerprint(torch.zeros(0))[1:] == [0, 0]
