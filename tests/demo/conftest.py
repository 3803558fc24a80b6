"""The page's models: a plain and an FDAM segmentor, drawn weights, as a user would name them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tools import TINY

from fdam_mm.apis import load_model
from fdam_mm.demo.models import Served
from fdam_mm.demo.sources import open_models


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What stands on the command line."""
    folder = tmp_path_factory.mktemp("models")
    named = []
    for name, fdam in (("tiny", "None"), ("fdam-tiny", "dict(att_inv=True, freq_scale=True)")):
        config, checkpoint = folder / f"{name}.py", folder / f"{name}.pth"
        config.write_text(f'_base_ = "{TINY}"\nmodel = dict(backbone=dict(fdam={fdam}))\n')
        torch.manual_seed(0)
        model = load_model(config, device="cpu")
        torch.save(dict(state_dict=model.state_dict()), checkpoint)
        named += [str(config), str(checkpoint)]
    return named


@pytest.fixture(scope="session")
def models(words: list[str]) -> dict[str, Served]:
    return open_models(words, "cpu")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.fixture
def upload(pixels: np.ndarray, tmp_path: Path) -> Path:
    import cv2

    file = tmp_path / "photo.png"
    cv2.imwrite(str(file), pixels)
    return file
