"""Damaged data sets, configs and checkpoints, and whole ones to compare."""

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fdam_mm.apis import load_model
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.results import OrientedResults, save_results

from .tools import TINY

PICTURE = "images/training/DEMO_train_00000001.jpg"
LABELS = "annotations/training/DEMO_train_00000001.png"
CONFIGS = {  # name: text
    "syntax": "model = dict(type='EncoderDecoder'\n",
    "no_base": "_base_ = './not_there.py'\n",
    "unknown_name": "model = dict(type=Encoder)\n",
    "fails": "size = 8 / 0\n",
    "no_package": "custom_imports = dict(imports=['not_there.models'])\n",
    "empty": "",
    "no_scope": "model = dict(type='EncoderDecoder')\n",
    "no_model": "_base_ = '{tiny}'\nmodel = None\n",
    "no_optimizer": "_base_ = '{tiny}'\noptim_wrapper = None\n",
    "no_training": "_base_ = '{tiny}'\ntrain_dataloader = None\n",
    "no_test": "_base_ = '{tiny}'\ntest_dataloader = None\n",
    "misspelt": "_base_ = '{tiny}'\noptim_wraper = dict(accumulative_counts=2)\n",
    "exchanged": "_base_ = '{tiny}'\nparam_shceduler = []\n",
    "foreign": "_base_ = '{tiny}'\ndefault_scope = 'mmpretrain'\n",
    "merged_into_text": "_base_ = '{tiny}'\ntrain_pipeline = dict(type='LoadImageFromFile')\n",
}


def write_bad_files(root: Path) -> Path:
    """``data`` (whole), ``data_*``, ``*.py``, ``*.pth``, ``*.npz`` and pictures."""
    write_demo_set(root / "data", num_train=8, num_val=4, size=64)
    _write_configs(root)
    _write_checkpoints(root)
    _write_data(root)
    _write_pictures(root)
    _write_results(root)
    (root / "file").write_text("mine")
    for name in ("folder", "folder.pth"):
        (root / name).mkdir()
    (root / "unfinished").mkdir()
    shutil.copy(TINY, root / "unfinished")
    (root / "earlier").mkdir()
    shutil.copy(root / "model.pth", root / "earlier/iter_3.pth")
    return root


def _write_configs(root: Path) -> None:
    for name, text in CONFIGS.items():
        (root / f"{name}.py").write_text(text.replace("{tiny}", str(TINY)))
    (root / "latin.py").write_bytes(b"name = 'caf\xe9'\n")
    (root / "config.txt").write_text("model = dict()\n")
    (root / "broken.json").write_text('{"model": ')
    (root / "broken.yaml").write_text("model: [1, 2\n")


def _write_checkpoints(root: Path) -> None:
    state = load_model(TINY, device="cpu").state_dict()
    torch.save(dict(state_dict=state), root / "model.pth")
    whole = (root / "model.pth").read_bytes()
    (root / "zero_bytes.pth").touch()
    (root / "truncated.pth").write_bytes(whole[: len(whole) // 2])
    (root / "page.pth").write_text("<html>404: not found</html>")
    (root / "pickle.pth").write_bytes(pickle.dumps(os.getcwd))
    torch.save(dict(state_dict=state, hook=print), root / "code.pth")
    torch.save(list(state.values()), root / "list.pth")
    torch.save(next(iter(state.values())), root / "tensor.pth")
    torch.save({}, root / "empty_dict.pth")
    torch.save(dict(state_dict={}), root / "empty_state.pth")
    torch.save(dict(state_dict={k: str(v.shape) for k, v in state.items()}), root / "texts.pth")
    torch.save(dict(state_dict=dict(enumerate(state.values()))), root / "numbered.pth")
    other = torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict()
    torch.save(dict(state_dict=other), root / "other_model.pth")
    key = "decode_head.conv_seg.weight"
    torch.save(dict(state_dict={**state, key: state[key][:3]}), root / "other_classes.pth")
    nan = {name: value * float("nan") for name, value in state.items()}
    torch.save(dict(state_dict=nan), root / "nan.pth")
    half = {name: value for name, value in state.items() if not name.startswith("neck")}
    torch.save(dict(state_dict=half), root / "no_neck.pth")
    (root / "weights.safetensors").write_bytes(whole[:64])
    _deflate(root / "model.pth", root / "deflated.pth")


def _deflate(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def _write_data(root: Path) -> None:
    """A folder ``data_NAME`` for each damage."""
    pictures = {
        "zero_bytes": b"",
        "truncated": (root / "data" / PICTURE).read_bytes()[:200],
        "half": (root / "data" / PICTURE).read_bytes()[:-400],
        "text": b"this is no picture",
    }
    for name, content in pictures.items():
        _set(root, f"{name}_picture", lambda data, c=content: (data / PICTURE).write_bytes(c))
        _set(root, f"{name}_labels", lambda data, c=content: (data / LABELS).write_bytes(c))
    _set(root, "half_png_labels", lambda data: _cut(data / LABELS))
    labels = np.array(Image.open(root / "data" / LABELS))
    rgb = np.stack([labels] * 3, -1)
    arrays = {
        "out_of_range": labels + np.uint8(100),
        "colours": rgb,
        "alpha": rgb[..., :2],
        "sixteen_bits": labels.astype(np.uint16) + 1000,
        "other_size": labels[:32],
    }
    for name, array in arrays.items():
        _set(root, name, lambda data, a=array: _save(data / LABELS, a))
    _set(root, "black_and_white", _black_and_white)
    _set(root, "unlabelled", lambda data: (data / LABELS).unlink())
    _set(root, "no_pictures", lambda data: _empty(data / "images/training"))
    _set(root, "no_training", lambda data: shutil.rmtree(data / "images/training"))
    _set(root, "no_validation", lambda data: shutil.rmtree(data / "images/validation"))
    _set(root, "no_annotations", lambda data: shutil.rmtree(data / "annotations/training"))


def _set(root: Path, name: str, damage: Callable[[Path], Any]) -> None:
    folder = root / f"data_{name}"
    shutil.copytree(root / "data", folder)
    damage(folder)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _save(file: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(file)


def _black_and_white(data: Path) -> None:
    for file in (data / "annotations").rglob("*.png"):
        _save(file, (np.array(Image.open(file)) > 3).astype(np.uint8) * 255)


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _write_pictures(root: Path) -> None:
    shutil.copy(root / "data" / PICTURE, root / "picture.jpg")
    (root / "zero_bytes.png").touch()
    (root / "text.png").write_text("this is no picture")
    (root / "cut.png").write_bytes((root / "picture.jpg").read_bytes()[:200])
    (root / "half.jpg").write_bytes((root / "picture.jpg").read_bytes()[:-400])
    Image.open(root / "picture.jpg").save(root / "half.png")
    _cut(root / "half.png")
    (root / "twins").mkdir()
    for suffix in (".png", ".jpg"):
        Image.open(root / "picture.jpg").save(root / f"twins/a{suffix}")


def _write_results(root: Path) -> None:
    boxes = OrientedBoxes(
        np.array([[9, 9, 4, 4, 0]], np.float32), np.ones(1, np.float32), np.zeros(1, int)
    )
    for name, picture in (("boxes", "P1__64__0___0"), ("whole", "P1")):
        save_results(root / f"{name}.npz", OrientedResults(("plane",), {picture: boxes}))
    np.savez(root / "arrays.npz", a=np.zeros(3))
