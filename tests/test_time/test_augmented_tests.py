"""Tests with augmentation of whole configs, one for each toolkit."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS, init_default_scope
from mmengine.runner import Runner
from support.tools import ROOT

from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.errors import ConfigError
from fdam_mm.oriented.pipelines import unlabelled
from fdam_mm.test_time.config import augment
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import read_config

CONFIGS = {
    "mmseg": "tests/support/tiny.py",
    "mmdet": "tests/support/tiny_detector.py",
    "mmrotate": "configs/demo/fdam-oriented-rcnn_lsknet_demo.py",
}
LAYOUTS = {"mmseg": "ade20k", "mmdet": "coco", "mmrotate": "dota"}
WIDTH = 96  # of the pictures
# Standard deviations of the classifiers' weights, by the end of their names: classes are to differ
# in every place, and scores of boxes must not all be 1, for then their order is arbitrary.
SPREADS = {"conv_seg.weight": 1.0, "retina_cls.weight": 1.0, "fc_cls.weight": 0.1}


class Setup(NamedTuple):
    config: Config
    plain: list[np.ndarray]  # what is predicted without augmentation, see `predict`


@HOOKS.register_module()
class KeepPredictions(Hook):
    """Of each picture the probabilities (K, H, W), or boxes, scores and labels (N, D + 2)."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray] = []

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Sequence[Any] | None = None) -> None:  # fmt: skip
        for sample in outputs:
            if "pred_sem_seg" in sample:
                self.kept.append(sample.pred_sem_seg.data.cpu().numpy())
            else:
                found = sample.pred_instances
                columns = [found.bboxes, found.scores[:, None], found.labels[:, None]]
                self.kept.append(torch.cat(columns, dim=1).cpu().numpy())


@pytest.fixture(scope="module", params=CONFIGS)
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A config that loads weights, untrained and not those that its seed gives."""
    scope = request.param
    folder = tmp_path_factory.mktemp(scope)
    write_demo_set(folder / "data", 1, 2, size=WIDTH, layout=LAYOUTS[scope])
    config = read_config(str(ROOT / CONFIGS[scope]), dict(data_root=str(folder / "data")))
    config.test_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    config.update(work_dir=str(folder / "work"), load_from=str(folder / "model.pth"))
    init_default_scope(scope)
    register_toolkit(scope)
    torch.manual_seed(1)
    model = MODELS.build(config.model)
    model.init_weights()
    for name, weight in model.named_parameters():
        for end in (end for end in SPREADS if name.endswith(end)):
            torch.nn.init.normal_(weight, std=SPREADS[end])
    torch.save(model.state_dict(), config.load_from)
    return Setup(config, predict(config))


def predict(config: Config, *hooks: dict[str, Any], measured: bool = False) -> list[np.ndarray]:
    config = copy.deepcopy(config)
    if not measured:  # DOTA's metric starts processes, which takes long
        config.test_evaluator = []
    config.custom_hooks = [*hooks, dict(type="KeepPredictions")]
    runner = build_runner(config)
    assert bool(runner.test()) == measured
    return next(hook.kept for hook in runner.hooks if isinstance(hook, KeepPredictions))


def augmented(config: Config) -> Config:
    config = copy.deepcopy(config)
    augment(config)
    return config


def pipeline(config: Config) -> list[dict[str, Any]]:
    return config.test_dataloader.dataset.pipeline


def test_one_view_predicts_as_no_augmentation(setup: Setup) -> None:
    config = augmented(setup.config)
    flips = pipeline(config)[-1]["transforms"][0]
    del flips[1:]
    for ours, plain in zip(predict(config), setup.plain, strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_mirrored_pictures_give_mirrored_predictions(setup: Setup) -> None:
    """Which none of these networks does by itself."""
    config = augmented(setup.config)
    found = predict(config, measured=True)
    mirror = copy.deepcopy(pipeline(config)[-1]["transforms"][0][1])
    pipeline(config).insert(-1, mirror)
    mirrored = predict(config)
    for ours, theirs, plain in zip(found, mirrored, setup.plain, strict=True):
        if config.default_scope == "mmseg":
            assert (ours == theirs[..., ::-1]).mean() > 0.99
            assert (ours != plain).any()
            continue
        assert len(ours) == len(theirs) > 5
        side = int(config.default_scope == "mmrotate")  # a rotated box begins with its centre
        centres = ours[:, :2] if side else (ours[:, :2] + ours[:, 2:4]) / 2
        turned = theirs[:, :2] if side else (theirs[:, :2] + theirs[:, 2:4]) / 2
        np.testing.assert_allclose(WIDTH - centres[:, 0], turned[:, 0], atol=0.01)
        np.testing.assert_allclose(centres[:, 1], turned[:, 1], atol=0.01)
        np.testing.assert_allclose(ours[:, -2:], theirs[:, -2:], atol=1e-4)


def test_averaged_weights_are_loaded(setup: Setup) -> None:
    """mmengine's EMAHook tests its own copy of the model, which it fills by name."""
    config = augmented(setup.config)
    for ours, wanted in zip(predict(config, dict(type="EMAHook")), predict(config), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-4)


def test_data_sets_in_wrappers() -> None:
    dataset = dict(type="A", pipeline=[dict(type="Load"), dict(type="PackSegInputs")])
    wrapped = dict(type="ConcatDataset", datasets=[dict(type="B", dataset=dataset)])
    loader = dict(dataset=wrapped)
    config = Config(dict(default_scope="mmseg", model=dict(type="M"), test_dataloader=loader))
    augment(config)
    inner = config.test_dataloader.dataset.datasets[0].dataset
    assert inner.pipeline[-1].type == "TestTimeAug"


def test_a_config_may_say_how() -> None:
    views = [dict(type="LoadImageFromFile"), dict(type="TestTimeAug", transforms=[])]
    loader = dict(dataset=dict(type="A", pipeline=[]))
    config = Config(
        dict(
            default_scope="mmdet", model=dict(type="M"), test_dataloader=loader,
            tta_model=dict(type="DetTTAModel", tta_cfg=dict(max_per_img=3)), tta_pipeline=views,
            data_preprocessor=dict(type="P"),
        )
    )  # fmt: skip
    augment(config)
    assert config.test_dataloader.dataset.pipeline == views
    assert config.model.type == "DetTTAModel" and config.model.tta_cfg.max_per_img == 3
    assert config.model.module == dict(type="M", data_preprocessor=dict(type="P"))


def test_unlabelled_views() -> None:
    """`--images` beside `--tta`."""
    views = [[dict(type="RandomFlip", prob=1.0)], [dict(type="LoadAnnotations")]]
    steps = [dict(type="Load"), dict(type="TestTimeAug", transforms=views)]
    assert unlabelled(steps) == [steps[0], dict(type="TestTimeAug", transforms=views[:1])]


@pytest.mark.parametrize(
    ("name", "message"),
    [("configs/demo/mask-dino_demo.py", "that of MaskDINO has none. Masks and panoptic")],
)
def test_what_cannot_be_merged(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        augment(read_config(str(ROOT / name), {}))


def test_a_pipeline_that_does_not_pack() -> None:
    dataset = dict(type="A", pipeline=[dict(type="Load"), dict(type="Odd")])
    loader = dict(dataset=dataset)
    config = Config(dict(default_scope="mmseg", model=dict(type="M"), test_dataloader=loader))
    with pytest.raises(ConfigError, match="ends with Odd, so set tta_pipeline"):
        augment(config)
