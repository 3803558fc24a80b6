"""Training FDAM and the head on a plain segmentor's weights, and loading what was trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.tools import ROOT, TINY

from fdam_mm.apis import Run, load_model, merge_delta, train
from fdam_mm.checkpoints import load
from fdam_mm.cli.merge import main as merge
from fdam_mm.cli.predict import main as predict
from fdam_mm.cli.test import main as evaluate
from fdam_mm.errors import CheckpointError, CheckpointMismatchError, ConfigError
from fdam_mm.inject import fdam_state_dict

FDAM = {"model.backbone.fdam": dict(att_inv=True, freq_scale=True)}
PLAIN = {"model.backbone.fdam": None}
HEADS = ("decode_head", "auxiliary_head")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, demo_set: Path) -> Path:
    folder = tmp_path_factory.mktemp("base") / "work"
    settings: dict[str, Any] = {"data_root": str(demo_set), "train_cfg.max_iters": 1, **PLAIN}
    checkpoint = train(TINY, folder, **settings).last_checkpoint
    assert checkpoint is not None
    return checkpoint


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, demo_set: Path, base: Path) -> Run:
    settings: dict[str, Any] = dict(data_root=str(demo_set), load_from=str(base))
    settings["fine_tuning.also"] = HEADS
    return train(TINY, tmp_path_factory.mktemp("tuned") / "work", **settings)


def test_the_rest_is_the_base_and_the_delta_all_else(base: Path, tuned: Run) -> None:
    ours, theirs = load(tuned.best_checkpoint)["state_dict"], load(base)["state_dict"]
    model = load_model(tuned.work_dir, device="cpu")
    trained = fdam_state_dict(model, HEADS)
    assert {k for k in ours if k not in trained} == {
        k for k in theirs if k in ours and torch.equal(ours[k], theirs[k])
    } - {*trained}
    moved = [k for k in trained if k in theirs and not torch.equal(ours[k], theirs[k])]
    assert any(key.startswith("decode_head.") for key in moved)
    delta = tuned.work_dir / "delta.safetensors"
    assert load(delta).keys() == trained.keys()
    assert delta.stat().st_size < base.stat().st_size / 2


def test_a_base_with_its_delta_is_the_model(base: Path, tuned: Run, tmp_path: Path) -> None:
    delta = tuned.work_dir / "delta.safetensors"
    whole = load_model(tuned.work_dir, device="cpu").state_dict()
    config = tuned.work_dir / "tiny.py"
    for model in (
        load_model(config, base, device="cpu", delta=delta),
        load_model(config, device="cpu", delta=delta),  # its load_from
    ):
        assert len(model.dataset_meta["classes"]) == 7
        for key, value in model.state_dict().items():
            assert torch.equal(value, whole[key])
    merge([str(config), str(delta), "--base", str(base), "--out", str(tmp_path / "all.pth")])
    merge_delta(config, delta, tmp_path / "all.safetensors", base)
    for name in ("all.pth", "all.safetensors"):
        model = load_model(config, tmp_path / name, device="cpu")
        assert all(torch.equal(value, whole[key]) for key, value in model.state_dict().items())


def test_another_base_is_refused(base: Path, tuned: Run, tmp_path: Path) -> None:
    config, delta = tuned.work_dir / "tiny.py", tuned.work_dir / "delta.safetensors"
    other = load(base)
    other["state_dict"]["backbone.blocks.0.mlp.fc1.weight"] *= 1.01
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(CheckpointMismatchError, match=r"another base: 1 of .*mlp\.fc1\.weight"):
        load_model(config, tmp_path / "other.pth", "cpu", delta=delta)
    del other["state_dict"]["backbone.blocks.0.mlp.fc1.weight"]
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(CheckpointMismatchError, match="it lacks 1 of"):
        load_model(config, tmp_path / "other.pth", "cpu", delta=delta)
    with pytest.raises(CheckpointMismatchError, match="trained on another base"):
        load_model(config, None, "cpu", delta=delta, options=dict(load_from=None))
    with pytest.raises(CheckpointMismatchError, match="(?s)of another model .*not in the model"):
        load_model(config, base, "cpu", delta=delta, options=PLAIN)
    with pytest.raises(CheckpointError, match=r"a delta is a file \*\.safetensors"):
        load_model(config, base, "cpu", delta=base)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fine_tuning": True}, r"fine_tuning is True, expected dict\(also="),
        ({"fine_tuning": dict(alos="x")}, r"expected dict\(also="),
        ({"fine_tuning.also": "decode"}, "fine_tuning: also: 'decode' matches .* decode_head"),
        ({"fine_tuning": {}, **PLAIN}, "fine_tuning: EncoderDecoder has no FDAM"),
        ({"fine_tuning": {}, "runner_type": "Runner"}, "fine_tuning needs FDAMRunner"),
    ],
)
def test_settings_that_cannot_be(
    settings: dict[str, Any], message: str, demo_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(TINY, tmp_path / "work", data_root=str(demo_set), **settings)


def test_what_is_frozen_comes_from_the_base(demo_set: Path, base: Path, tmp_path: Path) -> None:
    backbone = load(base)
    state = {k: v for k, v in backbone["state_dict"].items() if k.startswith("backbone.")}
    torch.save(dict(state_dict=state), tmp_path / "backbone.pth")
    settings = dict(data_root=str(demo_set), load_from=str(tmp_path / "backbone.pth"))
    with pytest.raises(CheckpointMismatchError, match=r"freezes \d+ tensors .*: neck\."):
        train(TINY, tmp_path / "work", fine_tuning={}, **settings)


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/fine_tuning.md").read_text()
    code = page.split("## From Python")[1].split("```python\n")[1].split("```")[0]
    shown: dict[str, Any] = {}
    exec(code, shown)
    trained, frozen = shown["counts"]
    assert f"trained={trained}, frozen={frozen}" in code


def test_the_tools_take_a_delta(base: Path, tuned: Run, demo_set: Path, tmp_path: Path) -> None:
    """Tested and predicted, base and delta are the whole checkpoint."""
    config, delta = str(tuned.work_dir / "tiny.py"), str(tuned.work_dir / "delta.safetensors")
    where = ["--work-dir", str(tmp_path / "test")]
    found = {}
    for name, given in {
        "whole": [str(tuned.best_checkpoint)],
        "base": [str(base), "--delta", delta],
        "augmented": ["--delta", delta, "--tta"],
    }.items():
        evaluate([config, *given, *where, "--out", str(tmp_path / name)])
        found[name] = _read_all(tmp_path / name)
    assert found["whole"] == found["base"] and found["whole"].keys() == found["augmented"].keys()
    picture = str(next((demo_set / "images/validation").iterdir()))
    for name, given in {
        "predicted": [config, picture, "--checkpoint", str(tuned.best_checkpoint)],
        "from the folder": [str(tuned.work_dir), picture, "--delta", delta],
    }.items():
        predict([*given, "--out", str(tmp_path / name), "--device", "cpu"])
        found[name] = _read_all(tmp_path / name)
    assert found["predicted"] == found["from the folder"] != {}
    with pytest.raises(SystemExit, match="name a checkpoint with a config"):
        evaluate([config, *where])


def _read_all(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
