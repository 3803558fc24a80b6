"""Reading configs for the tools."""

import re
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from support.tools import TINY

from fdam_mm.cli.arguments import add_run_arguments, parser
from fdam_mm.cli.run_config import run_config
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.errors import ConfigError, FDAMError, UsageError
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import read_config, refuse_overwriting, require_data


def test_data_root_moves_every_path_under_it(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(
        "data_root = 'data/coco/'\n"
        "train_dataloader = dict(dataset=dict(data_root=data_root, ann_file='a.json'))\n"
        "val_evaluator = [dict(ann_file=data_root + 'annotations/b.json')]\n"
        "other = 'data/coco_else'\n"
        "test_dataloader = dict(dataset=dict(data_root=other))\n"
    )
    config = read_config(str(tmp_path / "config.py"), {"data_root": "/big/coco"})
    assert config.train_dataloader.dataset == dict(data_root="/big/coco/", ann_file="a.json")
    assert config.val_evaluator[0].ann_file == "/big/coco/annotations/b.json"
    assert config.test_dataloader.dataset.data_root == "data/coco_else"


def test_project_configs_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config("configs/demo/vit_demo.py", {}).data_root == "data/demo"


def test_allow_pickle_leaves_the_model_alone() -> None:
    """The toolkits' own init_cfg takes no such key."""
    arguments = parser("", "")
    add_run_arguments(arguments)
    args = arguments.parse_args(["configs/demo/vit_demo.py", "--allow-pickle"])
    args.cfg_options = {"model.backbone.init_cfg": dict(type="Pretrained", checkpoint="a.pth")}
    config = run_config(args, read_config(args.config, args.cfg_options))
    assert config.allow_pickle
    assert config.model.backbone.init_cfg == dict(type="Pretrained", checkpoint="a.pth")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.md", "# Title", "a.md: OSError: Only py"),
        ("a.py", "model = dict(", "a.py: SyntaxError: "),
        ("a.py", "model = unknown", "a.py: NameError: name 'unknown' is not defined"),
        ("a.py", "_base_ = 'b.py'", "b.py"),
    ],
)
def test_what_is_no_config(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FDAMError, match=re.escape(message)) as error:
        read_config(str(tmp_path / name), {})
    assert "\n" not in str(error.value)


def test_reading_drops_the_toolkits_lines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Which optional parts a toolkit lacks is dropped; what a user's module says is heard."""
    lines = "print('Could not import OneDL. Skipping OneDL datasets.'); print('mine')"
    (tmp_path / "chatty_module.py").write_text(lines)
    (tmp_path / "config.py").write_text("custom_imports = dict(imports=['chatty_module'])")
    monkeypatch.syspath_prepend(tmp_path)
    read_config(str(tmp_path / "config.py"), {})
    assert "chatty_module" in sys.modules
    assert capsys.readouterr().out == "mine\n"


def test_new_names_at_the_top_are_refused() -> None:
    file = "configs/demo/vit_demo.py"
    with pytest.raises(UsageError, match="data_rot is no setting .*; did you mean data_root"):
        read_config(file, {"data_rot": "demo"})
    with pytest.raises(UsageError, match="modle.neck: .* did you mean model"):
        read_config(file, {"modle.neck": None})
    with pytest.raises(
        UsageError, match=r"model.backbone.img_size is .*, which has no 0; set it whole"
    ):
        read_config(file, {"model.backbone.img_size.0": 3})
    assert read_config(file, {"auto_scale_lr.enable": True, "resume": True}).resume


@pytest.mark.parametrize("option", ["foo", "a=[1,2"])
def test_options_that_are_none(option: str, capsys: pytest.CaptureFixture) -> None:
    arguments = parser("", "")
    add_run_arguments(arguments)
    with pytest.raises(SystemExit):
        arguments.parse_args(["config.py", "--cfg-options", option])
    assert "error: --cfg-options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.backbone.embed_dim", 32, "no argument 'embed_dim'; near it: embed_dims"),
        (
            "model.backbone.type",
            "NoX",
            "backbone.type: NoX is not in the mmseg::model registry",
        ),
        ("model.backbone.fdam.att_in", True, "att_in"),
        ("optim_wrapper.paramwise_cfg.layer_decy", 1, "no setting ['layer_decy']; it has"),
        ("train_cfg.max_iter", 3, "train_cfg.max_iter: .*did you mean max_iters"),
        ("train_dataloader.batchsize", 3, "train_dataloader.batchsize: TypeError: .*batchsize"),
    ],
)
def test_what_cannot_be_built(tmp_path: Path, key: str, value: object, message: str) -> None:
    write_demo_set(tmp_path / "data", num_train=1, num_val=1, size=64)
    options = {"data_root": str(tmp_path / "data"), "work_dir": str(tmp_path / "work"), key: value}
    config = read_config(str(TINY), options)
    with pytest.raises(ConfigError, match=message if ".*" in message else re.escape(message)):
        build_runner(config).train()


def test_errors_of_the_running_loop_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_demo_set(tmp_path / "data", num_train=1, num_val=1, size=64)
    options = {"data_root": str(tmp_path / "data"), "work_dir": str(tmp_path / "work")}
    runner = build_runner(read_config(str(TINY), options))

    def step(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(runner.model, "train_step", step)
    with pytest.raises(TypeError, match="^a bug$"):
        runner.train()


def test_overwriting_is_refused_unless_resumed(tmp_path: Path) -> None:
    config = read_config("configs/demo/vit_demo.py", {"work_dir": str(tmp_path)})
    refuse_overwriting(config)
    (tmp_path / "pretrained.pth").touch()  # not of a training
    refuse_overwriting(config)
    (tmp_path / "iter_5.pth").touch()
    with pytest.raises(UsageError, match=r"iter_5.pth.*--resume"):
        refuse_overwriting(config)
    config.resume = True
    refuse_overwriting(config)


def test_missing_data_is_named(tmp_path: Path) -> None:
    config = read_config("configs/lsknet/oriented-rcnn-le90_lsknet-s_fpn_1x_dior.py", {})
    config.merge_from_dict({"test_dataloader.dataset.data_root": str(tmp_path)})
    with pytest.raises(UsageError, match="data/DIOR/ImageSets/Main/train.txt of .*train_data"):
        require_data(config, "train", "val")
    with pytest.raises(UsageError, match=f"{tmp_path}/ImageSets/Main/test.txt"):
        require_data(config, "test")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").touch()
    require_data(config, "test")


class TestRefuseOverwriting:
    def config(self, folder: Path, resume: bool | str, source: Path | None = None) -> Config:
        return Config(dict(work_dir=str(folder), resume=resume, load_from=source and str(source)))

    def test_a_new_training(self, tmp_path: Path) -> None:
        refuse_overwriting(self.config(tmp_path, False))
        (tmp_path / "iter_2.pth").touch()
        with pytest.raises(UsageError, match=r"iter_2.pth of an earlier training.*--resume"):
            refuse_overwriting(self.config(tmp_path, False))
        refuse_overwriting(self.config(tmp_path, "auto"))
        refuse_overwriting(self.config(tmp_path, True))

    def test_one_that_goes_on_from_elsewhere(self, tmp_path: Path) -> None:
        ours, theirs = tmp_path / "ours/iter_2.pth", tmp_path / "theirs/iter_2.pth"
        ours.parent.mkdir()
        refuse_overwriting(self.config(ours.parent, True, theirs))
        ours.touch()
        refuse_overwriting(self.config(ours.parent, True, ours))
        refuse_overwriting(self.config(ours.parent, "auto", theirs))  # to start from, if need be
        with pytest.raises(UsageError, match=r"ours holds iter_2.pth of another training than"):
            refuse_overwriting(self.config(ours.parent, True, theirs))
