"""Files that the tools refuse: configs, checkpoints, data, folders of runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bad_inputs import Bad, name_of, run_here
from support.tools import TINY

ON = "--cfg-options data_root=$files"  # a damaged set follows
NO_FIT = "$files/{}.pth does not fit the model"
CONFIGS = [
    Bad("train.py not_there.py", "config not_there.py does not exist$"),
    Bad("train.py $demo/fdam-vit_dem.py", "fdam-vit_dem.py does not exist; did you mean .*vit_d"),
    Bad("train.py $files/syntax.py", "config $files/syntax.py: SyntaxError: '\\(' was never clos"),
    Bad("train.py $files/no_base.py", "config $files/no_base.py: .*No such file.*not_there.py"),
    Bad("train.py $files/unknown_name.py", "name 'Encoder' is not defined .*unknown_name.py:1"),
    Bad("train.py $files/fails.py", "division by zero \\($files/fails.py:1\\)"),
    Bad(
        "train.py $files/no_package.py",
        "config $files/no_package.py: .*No module named 'not_there'",
    ),
    Bad("train.py $files/latin.py", "config $files/latin.py: .*'utf-8' codec can't decode"),
    Bad("train.py $files/config.txt", "config $files/config.txt: .*py/yml/yaml/json"),
    Bad("train.py $files/broken.json", "config $files/broken.json: .*line 1 column 11"),
    Bad("train.py $files/broken.yaml", "config $files/broken.yaml: ParserError: while parsing"),
    Bad("train.py $files/misspelt.py", "optim_wraper is read by nothing; did you mean optim_wrap"),
    Bad("train.py $files/exchanged.py", "param_shceduler .* did you mean param_scheduler"),
    Bad(f"train.py $files/foreign.py {ON}/data", "default_scope is 'mmpretrain', expected one of"),
    Bad("train.py $files/folder", "config $files/folder is a folder, expected a file"),
    Bad("check_data.py not_there.py", "config not_there.py does not exist$"),
    Bad("check_data.py $files/syntax.py", "config $files/syntax.py: SyntaxError"),
    Bad("check_data.py $files/empty.py", "no train_dataloader, val_dataloader or test_dataloader"),
    Bad("check_data.py $files/no_training.py --splits train", "has no train_dataloader.dataset;"),
    Bad("check_data.py $files/foreign.py", "dataset type 'BaseSegDataset' is unknown; check its"),
    Bad("get_flops.py not_there.py", "config not_there.py does not exist$"),
    Bad("get_flops.py $files/empty.py", "$files/empty.py has no model"),
    Bad("get_flops.py $files/no_scope.py", "names no input size; give one: --shape H W$"),
    Bad("demo.py not_there.py", "config not_there.py does not exist$"),
    Bad("demo.py $files/empty.py", "has no demo_set; take one of configs/demo/$"),
    Bad(
        "fdam predict $files/empty.py $picture --checkpoint a.pth --out new", "default_scope is No"
    ),
    Bad(
        "fdam predict not_there.py $picture --checkpoint a.pth --out new", "not_there.py does not"
    ),
]
RUNS = [
    Bad("train.py $tiny", "data/demo of .*train_dataloader does not exist. Prepare .*data_root=F"),
    Bad("train.py $tiny --work-dir $files/file", "--work-dir $files/file: .* expected a folder"),
    Bad("train.py $tiny --work-dir $files/file/run", "$files/file is a file, expected a folder"),
    Bad(
        f"train.py $tiny --work-dir $files/earlier {ON}/data",
        "$files/earlier holds iter_3.pth of an earlier training. Go on with it: --resume",
    ),
    Bad(
        f"train.py $tiny --work-dir $files/earlier --resume $files/model.pth {ON}/data",
        "$files/earlier holds iter_3.pth of another training than $files/model.pth",
    ),
    Bad(
        f"train.py $tiny --resume $files/not_there.pth {ON}/data",
        "checkpoint $files/not_there.pth does not exist; $files holds .*model.pth",
    ),
    Bad(
        f"train.py $tiny --resume $files/zero_bytes.pth {ON}/data", "zero_bytes.pth \\(0 bytes\\)"
    ),
    Bad(f"train.py $tiny --resume $files/folder {ON}/data", "$files/folder is a folder, expected"),
    Bad(
        f"train.py $tiny {ON}/data load_from=$files/nan.pth",
        "iteration 1: loss nan, .* tensors are nan",
    ),
    Bad(f"train.py $tiny {ON}/data load_from=not_there.pth", "checkpoint not_there.pth does not"),
    Bad("test.py $tiny a.pth --images $files/twins", "--images needs --out or --show-dir"),
    Bad("test.py $tiny a.pth --images $files/folder --out new", "folder has no pictures, expecte"),
    Bad("test.py $tiny a.pth --images $files/twins --out new", "has several pictures a, expected"),
    Bad(
        f"test.py $tiny a.pth --show-dir $files/file {ON}/data", "--show-dir $files/file: .*folder"
    ),
    Bad(
        f"test.py $tiny a.pth --out $files/file {ON}/data", "--out $files/file: .* expected a fol"
    ),
    Bad(
        f"test.py $tiny a.pth --show-dir new {ON}/data default_hooks.visualization=None",
        "--show-dir needs default_hooks.visualization in the config",
    ),
    Bad(
        "test.py $demo/fdam-mask-dino_demo.py a.pth --out a.npz", "--out a.npz: .*; name it .pkl$"
    ),
]
CHECKPOINTS = [
    Bad("not_there", "checkpoint $files/not_there.pth does not exist; $files holds"),
    Bad("zero_bytes", "zero_bytes.pth \\(0 bytes\\) .*; copy or download it again"),
    Bad("truncated", "truncated.pth \\(\\d+ bytes\\) .*; copy or download it again"),
    Bad("page", "page.pth \\(27 bytes\\) .*; copy or download it again"),
    Bad("pickle", "pickle.pth \\(\\d+ bytes\\) .*; copy or download it again"),
    Bad(
        "code", "code.pth holds more than .*\\(print\\).* If you trust its source, .*--allow-pick"
    ),
    Bad("list", "list.pth holds a list, expected a dict of tensors; save the model's state_dict"),
    Bad("tensor", "tensor.pth holds a Tensor, expected a dict of tensors; save"),
    Bad("folder", "checkpoint $files/folder.pth is a folder, expected a file$"),
    Bad("texts", "texts.pth: 'backbone.pos_embed' is a str, expected a tensor; save the model's"),
    Bad("numbered", "numbered.pth: the name of a weight is 0, a int; expected text"),
    Bad("deflated", "deflated.pth: its record .* is compressed, .*; torch.save never does that"),
    Bad("empty_dict", "empty_dict.pth does not fit the model: it holds nothing where the weights"),
    Bad("empty_state", "empty_state.pth does not fit the model: it holds nothing where the weig"),
    Bad("other_model", NO_FIT.format("other_model")),
    Bad("other_classes", NO_FIT.format("other_classes")),
    Bad("no_neck", NO_FIT.format("no_neck")),
]
DATA = [
    Bad(
        "zero_bytes_picture", "$picture: unreadable .*, expected a whole picture; tools/check_data"
    ),
    Bad(
        "truncated_picture", "$picture: unreadable .*, expected a whole picture; tools/check_data"
    ),
    Bad("half_picture", "$picture: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("half_png_labels", "$labels: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("text_picture", "$picture: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("zero_bytes_labels", "$labels: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("truncated_labels", "$labels: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("text_labels", "$labels: unreadable .*, expected a whole picture; tools/check_data"),
    Bad("out_of_range", "$labels: label values 102.* in 4096 pixels, expected 1..7.*; renumber"),
    Bad("colours", "$labels: label map with 3 channels, expected one .*; convert colours to numb"),
    Bad("alpha", "$labels: label map with 2 channels, expected one .*; convert .*drop alpha"),
    Bad("sixteen_bits", "$labels: label map of type uint16 .*, expected 0..255.*; save it with 8"),
    Bad("other_size", "$labels: label map 32 high and 64 wide, expected 64 high and 64 wide like"),
    Bad("black_and_white", "hold only \\[0, 255\\], .* expected 1..7. Set it to False, or number"),
    Bad("unlabelled", "$labels: .*No such file"),
    Bad("no_annotations", "$labels: .*No such file"),
    Bad("no_pictures", "no \\*.jpg, expected the pictures .*; set its data_root, data_prefix"),
    Bad("no_training", "train_dataloader.*data_no_training/images/training'"),
    Bad("no_validation", "val_dataloader.*data_no_validation/images/validation'"),
]
FIRST = "training/DEMO_train_00000001"


@pytest.fixture(autouse=True)
def _quick(quick_start: None) -> None:
    pass


@pytest.mark.parametrize("row", CONFIGS + RUNS, ids=name_of)
def test_configs_and_runs(row: Bad, refuses: Callable[[Bad], None]) -> None:
    refuses(row)
    assert not Path("new").exists()


@pytest.mark.parametrize("row", CHECKPOINTS, ids=name_of)
def test_checkpoints(row: Bad, refuses: Callable[[Bad], None]) -> None:
    refuses(row._replace(command=f"test.py $tiny $files/{row.command}.pth {ON}/data"))


@pytest.mark.parametrize("row", DATA, ids=name_of)
def test_data(
    row: Bad,
    files: Path,
    refuses: Callable[[Bad], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """Training refuses it with the file's name, and the check finds it."""
    data = files / f"data_{row.command}"
    message = row.message.replace("$picture", f"{data}/images/{FIRST}.jpg")
    message = message.replace("$labels", f"{data}/annotations/{FIRST}.png")
    command = f"train.py $tiny {ON}/data_{row.command}"
    refuses(row._replace(command=command, message=message))
    check = run_here(
        ["check_data.py", str(TINY), "--cfg-options", f"data_root={data}"], monkeypatch, capsys
    )
    assert check.code == 1 and str(data) in check.out
