"""Reading configs for the tools."""

from pathlib import Path

import pytest

from fdam_mm.engine.launch import (
    UsageError,
    add_run_arguments,
    parser,
    read_config,
    refuse_overwriting,
    require_data,
    run_config,
)


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
    config = run_config(args)
    assert config.allow_pickle
    assert config.model.backbone.init_cfg == dict(type="Pretrained", checkpoint="a.pth")


def test_overwriting_is_refused_unless_resumed(tmp_path: Path) -> None:
    config = read_config("configs/demo/vit_demo.py", {"work_dir": str(tmp_path)})
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
