"""Which checkpoints fit a model, and what is said of those that do not."""

import pytest
import torch
from torch import nn

from fdam_mm.checkpoints import load_state
from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.layers import FreqScale


class Model(nn.Module):
    def __init__(self, classes: int = 3, fdam: bool = False) -> None:
        super().__init__()
        self.backbone = nn.Linear(16, 16)
        self.conv_seg = nn.Linear(16, classes)
        self.freq_scale_1 = FreqScale(16) if fdam else None


def test_exact() -> None:
    source, model = Model(), Model()
    load_state(model, source.state_dict(), "file.pth", fit="exact")
    assert torch.equal(model.conv_seg.weight, source.conv_seg.weight)


def test_wrong_class_count_leaves_the_model_alone() -> None:
    model = Model(classes=3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    message = r"(?s)file.pth does not fit.*checkpoint \(5, 16\), model \(3, 16\).*num_classes"
    with pytest.raises(CheckpointMismatchError, match=message):
        load_state(model, Model(classes=5).state_dict(), "file.pth", fit="exact")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("ours", "theirs", "hint"),
    [(True, False, "use the plain twin's config"), (False, True, r"use the fdam-\*.py config")],
)
def test_fdam_on_one_side(ours: bool, theirs: bool, hint: str) -> None:
    with pytest.raises(CheckpointMismatchError, match=hint):
        load_state(Model(fdam=ours), Model(fdam=theirs).state_dict(), "file.pth", fit="exact")


@pytest.mark.parametrize("state", [{}, {"freq_scale_9.weight": torch.ones(1), "a": torch.ones(1)}])
def test_hints_are_for_checkpoints_of_the_same_kind(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointMismatchError, match="hardly any name") as error:
        load_state(Model(fdam=True), state, "file.pth", fit="exact")
    assert "twin" not in str(error.value) and "fdam-" not in str(error.value)


def test_pretrained_may_lack_fdam_and_nothing_else() -> None:
    state = Model().state_dict()
    load_state(Model(fdam=True), state, "file.pth", fit="pretrained")
    del state["backbone.bias"]
    with pytest.raises(CheckpointMismatchError, match="the checkpoint lacks .1.: backbone.bias"):
        load_state(Model(fdam=True), state, "file.pth", fit="pretrained")


def test_finetune_takes_what_fits() -> None:
    source, model = Model(classes=5), Model(classes=3)
    load_state(model, source.state_dict(), "file.pth", fit="finetune")
    assert torch.equal(model.backbone.weight, source.backbone.weight)
    with pytest.raises(CheckpointMismatchError):
        load_state(model, {"other.weight": torch.ones(1)}, "file.pth", fit="finetune")


def test_an_auxiliary_head_may_be_left_out() -> None:
    state = {**Model().state_dict(), "auxiliary_head.weight": torch.ones(1)}
    load_state(Model(), state, "file.pth", fit="exact")
    with pytest.raises(CheckpointMismatchError, match="backbone.extra"):
        load_state(Model(), {**state, "backbone.extra": torch.ones(1)}, "file.pth", fit="exact")


def test_long_lists_are_cut() -> None:
    with pytest.raises(CheckpointMismatchError, match="and 12 more"):
        load_state(Model(), {f"backbone.{i}": torch.ones(1) for i in range(20)}, "f", fit="exact")
