"""The model inside wrappers."""

import pytest
import torch
from mmengine.model import BaseTTAModel, ExponentialMovingAverage
from torch import nn

from fdam_mm.training.unwrapping import bare_model


class Views(BaseTTAModel):
    def merge_preds(self, data_samples_list: list) -> list:
        return data_samples_list


class Model(nn.Linear):
    def test_step(self, data: object) -> object:
        return data


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m,
        Views,
        nn.DataParallel,
        ExponentialMovingAverage,
        torch.compile,
        lambda m: nn.DataParallel(Views(m)),
        lambda m: Views(torch.compile(m)),
    ],
)
def test_every_wrapper_is_taken_off(wrap: object) -> None:
    model = Model(2, 2)
    found = bare_model(wrap(model))
    assert type(found) is Model and found.state_dict().keys() == model.state_dict().keys()
