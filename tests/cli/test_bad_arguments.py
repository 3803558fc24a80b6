"""Arguments that the tools refuse before they read anything."""

from pathlib import Path

import pytest
from support.bad_inputs import Bad, assert_refused, name_of, run_here, words
from support.tools import TINY

MISSING = "the following arguments are required: "
ROWS = [
    Bad("train.py", f"{MISSING}config$", 2),
    Bad("train.py $tiny --workdir here", "unrecognized arguments: --workdir here$", 2),
    Bad("train.py $tiny --launcher slurm", "--launcher: invalid choice: 'slurm'", 2),
    Bad("train.py $tiny --work-dir", "--work-dir: expected one argument$", 2),
    Bad("train.py $tiny --cfg-options lr", "--cfg-options takes KEY=VALUE, found 'lr'", 2),
    Bad("train.py $tiny --cfg-options a='[0,1'", "a: the brackets of '\\[0,1' do not match", 2),
    Bad("train.py $tiny --cfg-options =3", "expected KEY=VALUE, found '=3'", 2),
    Bad("train.py $tiny --cfg-options a..b=3", "expected KEY=VALUE, found 'a..b=3'", 2),
    Bad("train.py $tiny --cfg-options 'a=dict(b)'", "'b' in a dict, expected KEY=VALUE", 2),
    Bad("test.py $tiny", "is no work folder: name a checkpoint with a config$"),
    Bad("test.py $tiny --cfg-options a=1 x.pth", "found 'x.pth'; other arguments go before", 2),
    Bad("test.py $tiny x.pth --tta yes", "unrecognized arguments: yes", 2),
    Bad("check_data.py", f"{MISSING}config$", 2),
    Bad("check_data.py $tiny --splits trian", "--splits: invalid choice: 'trian'", 2),
    Bad("prepare_data.py", f"{MISSING}DATASET$", 2),
    Bad("prepare_data.py cityscapes a b", "DATASET: invalid choice: 'cityscapes'", 2),
    Bad("prepare_data.py ade20k a", f"{MISSING}dst$", 2),
    Bad("prepare_data.py coco", f"{MISSING}src, dst$", 2),
    Bad("prepare_data.py dota a b", f"{MISSING}--split$", 2),
    Bad("prepare_data.py dota a b --split xs", "--split: invalid choice: 'xs'", 2),
    Bad("prepare_data.py dota a b --split ss --workers two", "invalid int value: 'two'", 2),
    Bad("get_flops.py", f"{MISSING}config$", 2),
    Bad("get_flops.py $tiny --shape 512", "--shape: expected 2 arguments$", 2),
    Bad("get_flops.py $tiny --shape 0 64", "'0', expected a number of pixels above 0", 2),
    Bad("get_flops.py $tiny --shape big 64", "'big', expected a number of pixels above 0", 2),
    Bad("infer_large.py", f"{MISSING}image, config, checkpoint$", 2),
    Bad("infer_large.py a.png c.py d.pth --size big", "--size: invalid int value: 'big'", 2),
    Bad("infer_large.py a.png c.py d.pth --score-thr high", "invalid float value: 'high'", 2),
    Bad("dota_submit.py boxes.npz", f"{MISSING}out$", 2),
    Bad("dota_submit.py boxes.npz a.zip --iou-thr half", "invalid float value: 'half'", 2),
    Bad("make_demo_set.py", f"{MISSING}root$", 2),
    Bad("make_demo_set.py new --layout voc", "--layout: invalid choice: 'voc'", 2),
    Bad("make_demo_set.py new --train many", "--train: invalid int value: 'many'", 2),
    Bad("demo.py $tiny --fast", "unrecognized arguments: --fast$", 2),
    Bad("fdam predict", f"{MISSING}model, inputs, --out$", 2),
    Bad("fdam predict $tiny a.png", f"{MISSING}--out$", 2),
    Bad("fdam predict $tiny a.png --out new --precision int8", "invalid choice: 'int8'", 2),
    Bad("fdam predict $tiny a.png --out new --tile big", "--tile: invalid int value: 'big'", 2),
    Bad("fdam info --all", "unrecognized arguments: --all$", 2),
]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_usage(
    row: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run_here(words(row.command, tiny=TINY), monkeypatch, capsys)
    assert_refused(row, ended)
    assert not list(tmp_path.iterdir())
