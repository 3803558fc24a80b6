"""The demo, shortened."""

import re
from pathlib import Path

from support.tools import TINY, succeed


def test_demo(tmp_path: Path) -> None:
    settings = ["data_root=data", "train_cfg.max_iters=8", "train_cfg.val_interval=8"]
    settings += ["model.data_preprocessor.size=(128,128)"]
    text = succeed("demo.py", TINY, "--cfg-options", *settings, cwd=tmp_path)
    found = re.search(
        r"mIoU ([\d.]+) on 32 pictures .*untrained ([\d.]+), guessing ([\d.]+)\); "
        r"pictures (\S+), model (\S+), logs (\S+)",
        text,
    )
    assert found, text
    trained, untrained, chance = (float(found[i]) for i in (1, 2, 3))
    assert 5 < chance < 10 and 0 < untrained < 2 * chance and 0 < trained <= 100
    assert len(list((tmp_path / found[4]).glob("*.png"))) == 32
    assert (tmp_path / found[5]).is_file()
