"""Finding numbers that are none, and saying so when weights are loaded."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fdam_mm.checkpoints import fitting, load_pretrained
from fdam_mm.checkpoints.finite import listing, meant_infinities, non_finite


def test_nested_tensors_of_every_kind_are_looked_at() -> None:
    bad = torch.tensor([1.0, torch.nan])
    state = dict(
        good=torch.zeros(3),
        empty=torch.zeros(0),
        whole=torch.ones(2, dtype=torch.long),
        text="x",
        half=bad.half(),
        complex=torch.complex(bad, bad),
        float8=torch.tensor([1.0, torch.nan]).to(torch.float8_e5m2),
        states={0: dict(exp_avg=bad, step=torch.tensor(3.0)), 1: [torch.zeros(1), -bad / 0]},
    )
    assert non_finite(state) == ["half", "complex", "float8", "states.0.exp_avg", "states.1.1"]


def test_infinities_that_a_model_is_built_with_are_meant() -> None:
    state = dict(mask=torch.tensor([0.0, -torch.inf]), weight=torch.zeros(2))
    meant = meant_infinities(state)
    assert meant == {"mask"} and not non_finite(state, meant)
    state["mask"][0] = torch.nan
    assert non_finite(state, meant) == ["mask"]
    assert meant_infinities(state) == frozenset()


def test_listing_is_short() -> None:
    assert listing(["a", "b"]) == "a, b"
    assert listing([*"abcdefg"]) == "a, b, c, d and 3 more"


def test_loading_broken_weights_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(fitting, "log", lambda message, *_: said.append(message))
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    torch.save(model.state_dict(), tmp_path / "good.pth")
    load_pretrained(model, tmp_path / "good.pth")
    assert len(said) == 1 and "not finite" not in said[0]
    nn.init.constant_(model[1].weight, torch.inf)
    torch.save(model.state_dict(), tmp_path / "bad.pth")
    load_pretrained(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tmp_path / "bad.pth")
    assert "bad.pth: 1 tensors are not finite (nan or infinity): 1.weight" in said[1]
