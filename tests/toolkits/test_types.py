"""Types as names, with a scope and as classes."""

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import DATASETS, MODELS, OPTIM_WRAPPERS
from mmrotate.datasets import DOTADataset, DOTAv15Dataset

from fdam_mm.errors import UsageError
from fdam_mm.oriented.pipelines import unlabelled, window_side
from fdam_mm.toolkits.types import class_of, is_kind
from fdam_mm.training.precision import BFloat16OptimWrapper, enable_amp


@pytest.mark.parametrize("kind", ["DOTADataset", "mmrotate.DOTADataset", DOTADataset])
def test_three_ways_to_say_it(kind: Any) -> None:
    assert class_of(kind, DATASETS, "mmrotate") is DOTADataset
    assert is_kind(kind, DOTADataset, DATASETS, "mmrotate")


def test_subclasses_and_others() -> None:
    assert is_kind("DOTAv15Dataset", DOTADataset, DATASETS, "mmrotate")
    assert is_kind(DOTAv15Dataset, DOTADataset, DATASETS)
    assert not is_kind("mmdet.CocoDataset", DOTADataset, DATASETS, "mmrotate")
    assert class_of("NoSuch", DATASETS, "mmrotate") is None
    assert not is_kind("NoSuch", DOTADataset, DATASETS, "mmrotate")
    assert not is_kind(print, DOTADataset, DATASETS)


@pytest.mark.parametrize("kind", ["OptimWrapper", "mmengine.OptimWrapper", OptimWrapper, None])
@pytest.mark.parametrize("scope", ["mmseg", "mmrotate", None])
def test_mixed_precision_replaces_the_plain_wrapper(kind: Any, scope: str | None) -> None:
    wrapper = dict(optimizer=dict(type="SGD", lr=0.1)) | (dict(type=kind) if kind else {})
    config = Config(dict(default_scope=scope, optim_wrapper=wrapper))
    enable_amp(config)
    expected = AmpOptimWrapper if torch.cuda.is_available() else BFloat16OptimWrapper
    assert class_of(config.optim_wrapper.type, OPTIM_WRAPPERS) is expected


@pytest.mark.parametrize("kind", ["AmpOptimWrapper", "mmengine.AmpOptimWrapper", AmpOptimWrapper])
def test_mixed_precision_that_is_there_stays(kind: Any) -> None:
    config = Config(dict(optim_wrapper=dict(type=kind)))
    enable_amp(config)
    assert config.optim_wrapper == dict(type=kind)


@pytest.mark.parametrize("wrapper", [dict(type="ApexOptimWrapper"), dict(type="Nosuch"), None])
def test_mixed_precision_of_others_is_refused(wrapper: Any) -> None:
    with pytest.raises(UsageError, match="--amp takes an optim_wrapper"):
        enable_amp(Config(dict(optim_wrapper=wrapper)))


def test_steps_of_a_pipeline() -> None:
    from mmcv.transforms import LoadAnnotations, Resize

    steps = [
        dict(type="mmdet.LoadImageFromFile"),
        dict(type=LoadAnnotations),
        dict(type="mmdet.LoadAnnotations", with_bbox=True),
        dict(type="ConvertBoxType"),
        dict(type=Resize, scale=(512, 512)),
    ]
    assert unlabelled(steps) == [steps[0], steps[4]]
    assert window_side(steps) == 512
    assert window_side([dict(type="mmdet.Resize", scale=[64, 64])]) == 64
    assert window_side([dict(type="mmdet.RandomFlip", scale=(64, 64))]) is None


@pytest.mark.parametrize("kind", ["Pretrained", "mmengine.Pretrained"])
def test_pretrained_files_by_any_name(kind: Any, tmp_path: Any) -> None:
    from fdam_mm.models.backbones.mit import FDAMMixVisionTransformer

    settings = dict(embed_dims=8, num_layers=(1, 1, 1, 1))
    torch.save(FDAMMixVisionTransformer(**settings).state_dict(), tmp_path / "file.pth")
    for init_cfg in (dict(type=kind, checkpoint=str(tmp_path / "file.pth")),):
        for given in (init_cfg, [init_cfg]):
            model = MODELS.build(dict(type="FDAMMixVisionTransformer", init_cfg=given, **settings))
            model.init_weights()
            expected = torch.load(tmp_path / "file.pth")["layers.0.0.projection.weight"]
            torch.testing.assert_close(model.layers[0][0].projection.weight, expected)
