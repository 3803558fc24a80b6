"""Values and files that the tools beside training and testing refuse."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bad_inputs import Bad, name_of

PREDICT = "fdam predict $tiny $files/picture.jpg --checkpoint $files/model.pth --out new"
LARGE = "infer_large.py $files/picture.jpg $dota"
ROWS = [
    Bad(
        "fdam predict not_there a.png --out new", "not_there is no work folder: name a checkpoint"
    ),
    Bad(
        "fdam predict $files/unfinished a.png --out new", "unfinished holds no checkpoint \\(best_"
    ),
    Bad(
        "fdam predict $files/earlier a.png --out new", "earlier holds no config .* work folder\\?"
    ),
    Bad("fdam predict $tiny a.png --checkpoint a.pth --out $files/twins", "there and not empty"),
    Bad(
        "fdam predict $tiny a.png --checkpoint a.pth --out $files/file/new", "file is a file, exp"
    ),
    Bad("fdam predict $tiny a.png --checkpoint $files --out new", "files.* is a folder, expected"),
    Bad("fdam predict $tiny a.png --checkpoint not.pth --out new", "not.pth does not exist"),
    Bad(
        "fdam predict $tiny a.png --checkpoint $files/list.pth --out new", "list.pth holds a list"
    ),
    Bad(
        "fdam predict $tiny not_there.png --checkpoint $files/model.pth --out new",
        "not_there.png: no such picture, or folder or glob with pictures \\(.png",
    ),
    Bad(
        "fdam predict $tiny $files/folder --checkpoint $files/model.pth --out new",
        "folder: no such picture, or folder or glob with pictures \\(.png",
    ),
    Bad(f"{PREDICT} --batch-size 0", "batch_size is 0, expected at least 1"),
    Bad(f"{PREDICT} --tile 0", "tile is 0, expected a side of 1 pixel or more"),
    Bad(f"{PREDICT} --tile 64 --overlap 64", "overlap is 64, expected 0 or more and less than 64"),
    Bad(f"{PREDICT} --overlap 8", "overlap is 8, but nothing is cut: give tile"),
    Bad(f"{PREDICT} --score 7", "--score is 7.0, expected a number from 0 to 1"),
    Bad(f"{PREDICT} --device gpu", "device is 'gpu', which cannot be used"),
    Bad("prepare_data.py ade20k not_there new", "not_there does not exist; expected ADEChall"),
    Bad("prepare_data.py ade20k $files/file new", "file is broken or not a zip, .*; download it"),
    Bad("prepare_data.py coco not_there new", "not_there is no folder, expected one with .*.zip"),
    Bad("prepare_data.py coco $files/file new", "file is no folder, expected one with .*.zip"),
    Bad(
        "prepare_data.py coco $files/folder $files/file", "is a file, expected nothing there; move"
    ),
    Bad(
        "prepare_data.py dota not_there new --split ss", "not_there has none of the folders train"
    ),
    Bad("prepare_data.py dota $files/folder new --split ss", "has none of the folders train, val"),
    Bad(
        "prepare_data.py dota a new --split ss --workers 0", "--workers is 0, expected at least 1"
    ),
    Bad("make_demo_set.py $files/twins", "exists and is not a demo set .*; choose another fold"),
    Bad("make_demo_set.py $files/data", "data is a demo set with other parameters: training is 8"),
    Bad("make_demo_set.py new --train 0", "train is 0, expected at least 1"),
    Bad("make_demo_set.py new --val -1", "val is -1, expected at least 1"),
    Bad("make_demo_set.py new --size 3", "size is 3, expected at least 32"),
    Bad("make_demo_set.py new --size 100000000", "size is 100000000, expected at most 8192"),
    Bad(
        "make_demo_set.py new --val 10000000000000000000", "val is 1000.*, expected at most 10000"
    ),
    Bad("make_demo_set.py $files/file/new", "write $files/file/new: $files/file is a file, expec"),
    Bad("make_demo_set.py new --seed -1", "seed is -1, expected at least 0"),
    Bad("dota_submit.py not_there.npz new", "not_there.npz does not exist"),
    Bad(
        "dota_submit.py $files/text.png new", "text.png holds no rotated boxes .* expected a .npz"
    ),
    Bad(
        "dota_submit.py $files/folder new", "folder holds no rotated boxes .* expected a .npz file"
    ),
    Bad("dota_submit.py $files/arrays.npz new", "arrays.npz holds no rotated boxes .* expected a"),
    Bad("dota_submit.py $files/boxes.npz $files/file", "file exists and is left as it is; choose"),
    Bad(
        "dota_submit.py $files/boxes.npz $files/file/a.zip",
        "write $files/file/a.zip: $files/file is a file, expected a folder",
    ),
    Bad("dota_submit.py $files/not_there.npz $files/file/a.zip", "a.zip: $files/file is a file"),
    Bad(
        "dota_submit.py $files/whole.npz new", "'P1' is not the name of a patch, expected PICTURE"
    ),
    Bad(
        "dota_submit.py $files/boxes.npz new --iou-thr 7", "--iou-thr is 7.0, expected a number f"
    ),
    Bad(
        "dota_submit.py $files/boxes.npz new --iou-thr -1", "--iou-thr is -1.0, expected a number"
    ),
    Bad("infer_large.py not_there.png $dota a.pth", "picture not_there.png does not exist"),
    Bad(
        "infer_large.py $files/zero_bytes.png $dota a.pth", "zero_bytes.png: unreadable .*, expect"
    ),
    Bad("infer_large.py $files/text.png $dota a.pth", "text.png: unreadable .*, expected a whole"),
    Bad(
        "infer_large.py $files/cut.png $dota a.pth", "cut.png: unreadable .*, expected a whole pi"
    ),
    Bad("infer_large.py $files/text.png not_there.py a.pth", "config not_there.py does not exist"),
    Bad(f"{LARGE} not_there.pth", "checkpoint not_there.pth does not exist"),
    Bad(f"{LARGE} $files/zero_bytes.pth", "zero_bytes.pth \\(0 bytes\\) .*; copy or download it"),
    Bad(f"{LARGE} $files/model.pth", "model.pth does not fit the model"),
    Bad("infer_large.py $files/folder $dota a.pth", "$files/folder is a folder, expected a file"),
    Bad(f"{LARGE} $files/folder", "checkpoint $files/folder is a folder, expected a file"),
    Bad(f"{LARGE} a.pth --score-thr 7", "--score-thr is 7.0, expected a number from 0 to 1"),
    Bad(f"{LARGE} a.pth --size -5", "--size is -5, expected at least 1"),
    Bad(f"{LARGE} a.pth --overlap 4000", "overlap is 4000, expected 0 or more and less than 192"),
    Bad(f"{LARGE} a.pth --batch-size 0", "--batch-size is 0, expected at least 1"),
    Bad(
        f"{LARGE} a.pth --out $files/folder", "folder exists and is left as it is; pass --out ANO"
    ),
    Bad("infer_large.py $files/picture.jpg $tiny a.pth --size 64", "'mmseg', expected 'mmrotate'"),
    Bad("infer_large.py $files/picture.jpg $files/no_test.py a.pth", "has no test_dataloader"),
    Bad(
        "get_flops.py $tiny --shape 3 3", "the model cannot take an input of 3 x 3: .*; set --sha"
    ),
    Bad("get_flops.py $tiny --cfg-options model.type=Encoder", "cannot be built: .*Encoder"),
    Bad("get_flops.py $tiny --cfg-options model.backbone.type=NoX", "cannot be built: .*NoX"),
    Bad("get_flops.py $tiny --cfg-options model=5", "model is 5, expected a dict"),
    Bad(
        "get_flops.py $tiny --cfg-options model.backbone=None", "model.backbone is None, expected"
    ),
    Bad("get_flops.py $files/no_model.py", "no_model.py has no model"),
    Bad("get_flops.py $files/foreign.py", "default_scope is 'mmpretrain', expected one of mmseg"),
    Bad("demo.py $tiny --cfg-options demo_set=None", "has no demo_set; take one of configs/demo/"),
]
UNREADABLE = ("zero_bytes.png", "text.png", "cut.png", "half.jpg", "half.png")


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_values(row: Bad, refuses: Callable[[Bad], None]) -> None:
    refuses(row)
    assert not Path("new").exists()


@pytest.mark.parametrize("name", UNREADABLE)
def test_pictures_to_predict(name: str, refuses: Callable[[Bad], None]) -> None:
    command = f"fdam predict $tiny $files/{name} --checkpoint $files/model.pth --out new"
    refuses(Bad(command, f"{name}: unreadable .*, expected a whole picture"))
