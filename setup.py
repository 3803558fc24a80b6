"""Package fdam_mm. ``make`` installs the tested versions; here are the ranges that should work."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+?)"', (here / "fdam_mm/__init__.py").read_text())[1]

setup(
    name="fdam_mm",
    version=version,
    description="Frequency-Dynamic Attention Modulation (FDAM) for OpenMMLab backbones",
    long_description=(here / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["fdam_mm", "fdam_mm.*"]),
    # mmcv is compiled against the torch at hand: install torch first, then this package with
    # --no-build-isolation (README, "Your own environment").
    install_requires=[
        "torch>=2.5,<2.14",
        "torchvision",
        "numpy>=1.26",
        "onedl-mmcv>=2.3",
        "onedl-mmengine>=0.10.10",
        "onedl-mmsegmentation>=1.4",
        "onedl-mmdetection>=3.5",
        "onedl-mmrotate>=1.2",
        "timm>=1.0.9",
        "safetensors",
        "shapely>=2",
        "tqdm",
    ],
    extras_require={"dev": ["pytest", "ruff", "torchmetrics>=1.4"]},
)
