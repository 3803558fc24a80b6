"""To a hub and back, on this machine; what it refuses, and what an offline machine has."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from support.fake_hub import FakeHub

from fdam_mm.apis import load_model, push_to_hub
from fdam_mm.apis.sources import has_weights, name_of
from fdam_mm.cli.push import main as push
from fdam_mm.errors import ConfigError, HubError, MissingFileError, MissingPackageError, UsageError
from fdam_mm.publishing import hub as ours


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_there_and_back(
    hub: FakeHub, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(published, folder)
    (folder / "notes.txt").write_text("not for others")
    push([str(folder), "me/tiny", "--message", "first"])
    address = capsys.readouterr().out.strip()
    assert address.startswith("hf://me/tiny@")
    (files,) = hub.commits["me/tiny"].values()
    assert files == {file.name: file.read_bytes() for file in published.iterdir()}
    hub.put("me/tiny", {"large.safetensors": b"0" * 100, "config.py": b"raise SystemExit"})
    hub.asked.clear()
    assert same(load_model(address, device="cpu"), load_model(published, device="cpu"))
    fetched = {line.rpartition("/")[2] for line in hub.asked if line.startswith("GET /me")}
    assert fetched == {"config.json", next(published.glob("*.safetensors")).name}


def test_revisions(hub: FakeHub, published: Path) -> None:
    files = {file.name: file.read_bytes() for file in published.iterdir()}
    first = hub.put("me/tiny", files)
    hub.tags["me/tiny"] = {"v1": first}
    hub.put("me/tiny", {"config.json": b"{}"})
    for revision in ("v1", first):
        assert ours.fetch(f"hf://me/tiny@{revision}").name == first
    with pytest.raises(ConfigError, match="has the format None"):
        ours.fetch("hf://me/tiny")
    with pytest.raises(HubError, match="no branch, tag or commit 'v2'"):
        ours.fetch("hf://me/tiny@v2")


def test_what_the_hub_lacks_or_refuses(hub: FakeHub) -> None:
    with pytest.raises(HubError, match="there is no me/none, or it is private"):
        load_model("hf://me/none")
    hub.put("me/other", {"pytorch_model.bin": b"0"})
    with pytest.raises(HubError, match="lacks config.json or its weights"):
        load_model("hf://me/other")


def test_gated(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    hub.put("me/gated", {"config.json": b"{}"})
    hub.gated.add("me/gated")
    with pytest.raises(HubError, match="is gated: accept its terms"):
        load_model("hf://me/gated")


def test_offline(hub: FakeHub, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.put("me/tiny", {file.name: file.read_bytes() for file in published.iterdir()})
    ours.fetch("hf://me/tiny")
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same(load_model("hf://me/tiny", device="cpu"), load_model(published, device="cpu"))
    with pytest.raises(HubError, match="not in the cache, and HF_HUB_OFFLINE=1"):
        load_model("hf://me/unseen")
    assert not hub.asked


def test_no_network(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import errors

    def unreached(*_: object) -> str:
        raise errors.LocalEntryNotFoundError("no file") from ConnectionError("refused")

    monkeypatch.setattr(ours, "_download", unreached)  # which tries for half a minute
    with pytest.raises(HubError, match=r"not in the cache, and the hub .* reached \(refused\)"):
        load_model("hf://me/tiny")


@pytest.mark.parametrize("address", ["hf://tiny", "hf://me/tiny@", "hf://me/tiny@../x", "hf://"])
def test_addresses(address: str, hub: FakeHub) -> None:
    with pytest.raises(UsageError, match="expected hf://USER/MODEL"):
        load_model(address)


def test_what_is_not_sent(hub: FakeHub, published: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected USER/MODEL"):
        push_to_hub(published, "tiny")
    with pytest.raises(MissingFileError, match="fdam publish"):
        push_to_hub(tmp_path, "me/tiny")
    assert not hub.asked


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"pip install \"fdam_mm\[hub\]"):
        load_model("hf://me/tiny")


def test_sources(tmp_path: Path) -> None:
    assert has_weights("hf://me/tiny") and has_weights(tmp_path) and not has_weights("a.py")
    assert name_of("hf://me/tiny@v1") == "tiny" and name_of("configs/a.py") == "a"
