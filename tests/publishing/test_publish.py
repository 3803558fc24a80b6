"""A published folder: what is in it, that it is the model, and what is refused."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.tools import TINY, succeed

from fdam_mm.apis import load_model, predict, publish
from fdam_mm.cli.publish import main
from fdam_mm.errors import CheckpointError, ConfigError, MissingFileError, UsageError, WriteError
from fdam_mm.publishing.as_json import from_json, to_json
from fdam_mm.publishing.description import is_published, open_published, read_description
from fdam_mm.publishing.portable import portable, without_paths


def test_the_folder(published: Path, work_dir: Path) -> None:
    assert published == work_dir / "published"
    weights, card, description = sorted(published.iterdir(), key=lambda file: file.suffix)[::-1]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights.name == f"tiny-{digest[:8]}.safetensors"
    assert (card.name, description.name) == ("README.md", "config.json")
    assert str(work_dir.parent) not in description.read_text() + card.read_text()
    about = read_description(description)
    assert about.sha256 == digest and about.averaged and about.license == "cc-by-4.0"
    assert about.config["data_root"] == "data/demo"
    assert about.config["train_cfg"]["max_iters"] == 2  # all of the training's
    assert about.metrics is not None and about.metrics.step == 2
    logged = [json.loads(line) for line in next(work_dir.glob("*/vis_data/*.json")).open()]
    assert about.metrics.values["mIoU"] == next(e["mIoU"] for e in logged if "mIoU" in e)
    assert about.metrics.command and about.versions["torch"] == torch.__version__


def test_the_card(published: Path) -> None:
    _, front, body = (published / "README.md").read_text().split("---\n", 2)
    read = yaml.safe_load(front)
    assert (read["license"], read["pipeline_tag"]) == ("cc-by-4.0", "image-segmentation")
    assert read["tags"] == ["openmmlab", "mmseg", "fdam"]
    (result,) = read["model-index"][0]["results"]
    assert result["dataset"] == dict(name="drawn textures", type="drawn-textures", split="val")
    assert "mean_iou" in [metric["type"] for metric in result["metrics"]]
    assert "the average (EMA)" in body and "| trained on | drawn textures |" in body
    card = pytest.importorskip("huggingface_hub").ModelCard.load(published / "README.md")
    assert card.data.eval_results[0].metric_name == "aAcc"


def test_it_is_the_model_that_was_trained(published: Path, work_dir: Path) -> None:
    trained, loaded = load_model(work_dir, device="cpu"), load_model(published, device="cpu")
    ours, theirs = loaded.state_dict(), trained.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert loaded.dataset_meta["classes"] == list(trained.dataset_meta["classes"])
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    (mine,), (other,) = (predict(m, picture, progress=False) for m in (loaded, trained))
    np.testing.assert_array_equal(mine.labels, other.labels)
    assert mine.palette == other.palette


def test_it_is_evaluated_without_a_checkpoint(
    published: Path, work_dir: Path, tmp_path: Path
) -> None:
    data = f"data_root={work_dir.parent / 'demo'}"
    succeed("test.py", published, "--work-dir", tmp_path, "--cfg-options", data, cwd=tmp_path)
    (file,) = tmp_path.glob("*/*.json")
    about = read_description(published / "config.json")
    assert about.metrics is not None
    assert json.loads(file.read_text())["mIoU"] == about.metrics.values["mIoU"]


def test_weights_are_the_average(published: Path, work_dir: Path) -> None:
    read = torch.load(work_dir / "iter_2.pth", weights_only=False)
    key = "decode_head.conv_seg.weight"
    single = read["ema_state_dict"][f"module.{key}"]  # mmengine swaps them when it saves
    average = load_model(published, device="cpu").state_dict()[key]
    assert torch.equal(average, read["state_dict"][key]) and not torch.equal(average, single)


def test_nothing_is_written_over(published: Path, work_dir: Path) -> None:
    before = {file: file.read_bytes() for file in published.iterdir()}
    with pytest.raises(WriteError, match="is there and not empty"):
        publish(work_dir)
    assert {file: file.read_bytes() for file in published.iterdir()} == before
    with pytest.raises(UsageError, match="published model already"):
        publish(published)


def test_a_config_and_a_checkpoint_say_nothing_they_do_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = load_model(TINY, device="cpu")
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "a.pth")
    out = tmp_path / "out"
    main([str(TINY), "--checkpoint", str(tmp_path / "a.pth"), "--out", str(out)])
    assert "the license: not stated (--license)" in capsys.readouterr().out
    card = (out / "README.md").read_text()
    assert "license:" not in card and "| licence of the weights | not stated |" in card
    assert "model-index" not in card and "Nothing: the training has no validation" in card
    load_model(out, device="cpu")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(license="Apache 2"), "expected an identifier in small letters"),
        (dict(name="../x"), "expected letters, digits"),
        (dict(data=" "), "data is empty"),
    ],
)
def test_wrong_words(given: dict[str, str], message: str, work_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        publish(work_dir, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_work_folder_stays_one(tmp_path: Path) -> None:
    """Where a test of a published model of its name has left a config."""
    for name, is_one in (("config.json", True), ("config.py", False)):
        (tmp_path / name).write_text("{}")
        assert is_published(tmp_path) == is_one


def test_damage_is_seen(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(published, folder)
    weights = next(folder.glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="has the SHA-256"):
        load_model(folder, device="cpu")
    weights.unlink()
    with pytest.raises(MissingFileError, match="config.json beside it names it"):
        load_model(folder, device="cpu")
    file = folder / "config.json"
    for text, message in (
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"model_type": "vit"}', "format None, expected"),
        (file.read_text().replace(weights.name, "../../x-01234567.safetensors"), "weights is"),
        (file.read_text().replace('"palette": [', '"palette": ["red",', 1), "is damaged"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=message):
            open_published(folder)


def test_settings_keep_their_types() -> None:
    settings = dict(scale=(2, [1.5, None]), on=True, of={"a": ("b",)})
    assert from_json(json.loads(json.dumps(to_json(settings)))) == settings
    for odd, message in ((dict(a=len), "config.a is a builtin"), ({"a": {1: 2}}, "has the key 1")):
        with pytest.raises(ConfigError, match=message):
            to_json(odd)


def test_paths_of_this_machine() -> None:
    config = dict(
        data_root="/home/me/nuts/",
        work_dir="work_dirs/nuts",
        load_from="/home/me/base.pth",
        model=dict(init_cfg=dict(type="Pretrained", checkpoint="~/mit.pth"), pretrained=True),
        test_dataloader=dict(
            dataset=dict(
                data_root="/home/me/nuts",
                ann_file="/home/me/nuts/ann/val.json",
                data_prefix=dict(img="photos/"),
                indices="/elsewhere/splits/val.txt",
            )
        ),
        test_evaluator=[dict(ann_file="/home/me/nuts/ann/val.json", outfile_prefix="/tmp/out")],
    )
    assert portable(config) == dict(
        data_root="data/nuts",
        model={},
        test_dataloader=dict(
            dataset=dict(
                data_root="data/nuts",
                ann_file="ann/val.json",
                data_prefix=dict(img="photos/"),
                indices="splits/val.txt",
            )
        ),
        test_evaluator=[dict(ann_file="data/nuts/ann/val.json")],
    )
    apart = dict(test_dataloader=dict(dataset=dict(data_root="/home/me/nuts")))
    assert portable(apart)["data_root"] == "data/nuts"
    command = "fdam train /home/me/c.py --work-dir=/tmp/w --cfg-options data_root='/a b/c' lr=1/2"
    expected = "fdam train c.py --work-dir=w --cfg-options data_root='a b/c' lr=1/2"
    assert without_paths(command) == expected


def test_a_config_of_pure_python_gets_short_names() -> None:
    from mmseg.models.segmentors import EncoderDecoder

    assert to_json(dict(type=EncoderDecoder)) == dict(type="mmseg.EncoderDecoder")
    long = "mmseg.models.segmentors.encoder_decoder.EncoderDecoder"
    assert portable(dict(model=dict(type=long)))["model"]["type"] == "mmseg.EncoderDecoder"
