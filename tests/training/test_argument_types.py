"""Arguments of our models that are of another type than the class says."""

from typing import Any

import pytest
from mmengine.config import Config

from fdam_mm.apis.building import build_model
from fdam_mm.errors import ConfigError


def _build(**backbone: Any) -> None:
    small = dict(type="FDAMVisionTransformer", img_size=32, num_layers=1, out_indices=0)
    build_model(Config(dict(default_scope="mmseg", model={**small, **backbone})))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("embed_dims", "a", "a whole number"),
        ("embed_dims", None, "a whole number"),
        ("embed_dims", 2.5, "a whole number"),
        ("embed_dims", [1, 2], "a whole number"),
        ("mlp_ratio", "a", "a number"),
        ("drop_path_rate", "a", "a number"),
        ("img_size", "a", "a whole number or a list of whole numbers"),
        ("out_indices", [1.5], "a whole number or a list of whole numbers"),
        ("layer_scale_init", "a", "a number or None"),
        ("qkv_bias", "a", "True or False"),
        ("fdam", 3, "a dict or None"),
    ],
)
def test_other_types(name: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        _build(**{name: value})
    assert str(error.value) == f"model.{name} is {value!r}, expected {expected}"


@pytest.mark.parametrize(
    "settings",
    [dict(img_size=(32, 64)), dict(out_indices=[0]), dict(mlp_ratio=4), dict(fdam=None),
     dict(qkv_bias=False), dict(init_cfg=[]), dict(layer_scale_init=None)],
)  # fmt: skip
def test_what_fits(settings: dict[str, Any]) -> None:
    _build(**settings, embed_dims=16, num_heads=2)
