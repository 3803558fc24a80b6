"""The demo, shortened."""

import re
from pathlib import Path

from support.tools import TINY, fail, succeed


def test_demo(tmp_path: Path) -> None:
    settings = ["data_root=data", "train_cfg.max_iters=8", "train_cfg.val_interval=8"]
    settings += ["model.data_preprocessor.size=(128,128)"]
    text = succeed("demo.py", TINY, "--cfg-options", *settings, cwd=tmp_path)
    found = re.search(
        r"mIoU ([\d.]+) on 32 pictures .*untrained: mIoU ([\d.]+), guessing ([\d.]+)\)\n"
        r"pictures (\S+), model (\S+), logs (\S+)",
        text,
    )
    assert found, text
    trained, untrained, chance = (float(found[i]) for i in (1, 2, 3))
    assert 5 < chance < 10 and 0 < untrained < 2 * chance and 0 < trained <= 100
    assert len(list((tmp_path / found[4]).glob("*.png"))) == 32
    assert (tmp_path / found[5]).is_file()


def test_a_config_without_a_demo_set(tmp_path: Path) -> None:
    config = "configs/deit/deit-s16_upernet_8xb2-160k_ade20k-512x512.py"
    assert "has no demo_set" in fail("demo.py", config, cwd=tmp_path)
