"""fdam analyze: two models side by side, timm's and a toolkit's."""

import csv
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from support.tools import TINY

from fdam_mm.cli.main import main


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def analyze(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | None:
    monkeypatch.setattr(sys, "argv", ["fdam", "analyze", *map(str, arguments)])
    return main()


def test_a_model_of_timm_beside_ours(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out, said = tmp_path / "out", []
    monkeypatch.setattr("fdam_mm.analysis.models.print_log", lambda text, *_: said.append(text))
    analyze(monkeypatch, TINY, "--images", pictures, "-n", 2, "--against", "timm:test_vit",
            "--out", out)  # fmt: skip
    assert said == ["no checkpoint: the model is untrained"]
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "analysis.html")
    with open(out / "layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    models = list(dict.fromkeys(row["model"] for row in rows))
    assert models == [Path(TINY).stem, "test_vit"]
    assert all(0 <= float(row["high_frequency_ratio"]) <= 1 for row in rows)
    with open(out / "profiles.csv", newline="") as file:
        found = {(row["model"], row["quantity"]) for row in csv.DictReader(file)}
    assert {"inverted_mean", "gain_freq_scale_1"} <= {q for m, q in found if m == models[0]}
    assert {"log_amplitude", "response_mean"} <= {q for m, q in found if m == "test_vit"}
    assert not any("inverted" in q or "gain" in q for m, q in found if m == "test_vit")
    page = (out / "analysis.html").read_text()
    assert page.count('class="layer"') == 6 == page.count("<h3>")
    assert "2 pictures" in page and 'max="5"' in page and not re.search(r'src="http', page)
    for file in out.glob("*.svg"):
        ElementTree.parse(file)
    assert Image.open(out / "maps_and_spectra.png").size[0] > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["timm:test_vitt"], r"timm has no model test_vitt; it has test_\w+"),
        (["timm:test_vit", "-n", "0"], "-n is 0"),
        (["timm:test_vit", "--layers", "x.*"], r"'x\.\*' is the name of no module"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_is_refused(
    arguments: list[str],
    message: str,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match=message):
        analyze(monkeypatch, *arguments, "--images", pictures, "--out", out)
    assert not out.exists()


def test_a_checkpoint_without_weights_is_no_reason_to_download(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(SystemExit, match=r"empty\.safetensors holds no tensors"):
        analyze(monkeypatch, "timm:test_vit", tmp_path / "empty.safetensors",
                "--images", pictures, "--out", tmp_path / "out")  # fmt: skip
