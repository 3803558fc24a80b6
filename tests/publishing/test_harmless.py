"""What a config of others may say; each refused setting would do something, without the check."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fdam_mm.apis import load_model
from fdam_mm.errors import ConfigError
from fdam_mm.publishing.fetchers import fetcher_of
from fdam_mm.publishing.harmless import require_harmless
from fdam_mm.toolkits.registration import TOOLKITS, register_toolkit


def config(**settings: Any) -> dict[str, Any]:
    return dict(default_scope="mmseg", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        dict(model=dict(type="subprocess.Popen", args="true")),
        dict(model=dict(type="WithFDAM", of="os.system")),
        dict(model=dict(type="os")),
        dict(model=dict(type="mmengine.install_package", package="x")),  # exported, not registered
        dict(model=dict(type="mmseg.models.builder.BACKBONES")),
        dict(model=dict(type="EncoderDecoder", _scope_="antigravity")),
        dict(model=dict(test_cfg=dict(nms=dict(type="__import__('os').getpid()")))),
        dict(model=dict(warp_mode="__import__('os').getpid()")),
        dict(model=dict(head=dict(conv_type="subprocess.Popen"))),
        dict(model=dict(model_name="hf-hub:you/model")),
        dict(test_dataloader=dict(dataset=dict(ann_file="/etc/passwd"))),
        dict(test_dataloader=dict(dataset=dict(ann_file="../../etc/passwd"))),
        dict(test_dataloader=dict(dataset=dict(metainfo=dict(classes="/etc/passwd")))),
        dict(test_dataloader=dict(dataset=dict(ann_file="http://127.0.0.1/x"))),
        dict(test_dataloader=dict(dataset=dict(data_root="~/x"))),
        dict(model=dict(type=len)),
        dict(model=dict(language_model=dict(type="mmdet.BertModel", name="you/model"))),
        dict(model=dict(head=dict(type="mmdet.ATSSVLFusionHead", lang_model_name="you/model"))),
        dict(test_pipeline=[dict(type="mmdet.RandomSamplingNegPos", tokenizer_name="you/model")]),
    ],
    ids=lambda settings: json.dumps(settings, default=str)[:60],
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"x\.json: config\..* expected"):
        require_harmless(config(**settings), "x.json")


def test_few_types_fetch() -> None:
    """Of all that are registered; what their code calls may lie in another function or class."""
    from mmengine import registry

    for toolkit in TOOLKITS:
        register_toolkit(toolkit)
    roots = [found for found in vars(registry).values() if isinstance(found, registry.Registry)]
    kinds = [r.module_dict.values() for root in roots for r in (root, *root.children.values())]
    found = {kind.__name__ for each in kinds for kind in each if fetcher_of(kind)}
    known = {"ATSSVLFusionHead", "BertModel", "GLIP", "GroundingDINO", "RandomSamplingNegPos"}
    assert found == known


def test_scope() -> None:
    with pytest.raises(ConfigError, match="default_scope is 'evil'"):
        require_harmless(dict(default_scope="evil"), "x.json")


def test_usual_settings_pass() -> None:
    require_harmless(
        config(
            model=dict(
                type="mmseg.EncoderDecoder",
                backbone=dict(type="FDAMTimmBackbone", model_name="vit_small_patch14.lvd142m"),
                test_cfg=dict(nms=dict(type="nms", iou_threshold=0.5)),
                roi_layer=dict(type="RoIAlign"),
            ),
            test_dataloader=dict(
                dataset=dict(
                    ann_file="test.txt",
                    data_prefix=dict(img="a b/photos"),
                    metainfo=dict(classes=("car (parked)", "os.system")),
                )
            ),
        ),
        "x.json",
    )


def test_a_loader_refuses_before_it_builds(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(published, folder)
    file, mark = folder / "config.json", tmp_path / "mark"
    description = json.loads(file.read_text())
    description["config"]["model"] = dict(type="os.mkdir", path=str(mark))
    file.write_text(json.dumps(description))
    with pytest.raises(ConfigError, match="config.model.type is 'os.mkdir'"):
        load_model(folder, device="cpu")
    assert not mark.exists()


def test_what_a_loader_does_not_take(published: Path, tmp_path: Path) -> None:
    """Of a training's settings nothing is left that could be run, read or written."""
    folder = tmp_path / "more"
    shutil.copytree(published, folder)
    file = folder / "config.json"
    description = json.loads(file.read_text())
    description["config"] |= dict(
        custom_imports=dict(imports=["antigravity"]), work_dir="/etc", allow_pickle=True,
        custom_hooks=[dict(type="os.mkdir")], load_from="x.pth",
    )  # fmt: skip
    start = dict(type="Pretrained", checkpoint="/x")
    description["config"]["model"]["backbone"]["init_cfg"] = start
    file.write_text(json.dumps(description))
    read = load_model(folder, device="cpu").cfg
    assert not {"custom_imports", "work_dir", "allow_pickle", "custom_hooks", "load_from"} & set(
        read
    )
    assert "init_cfg" not in read.model.backbone
