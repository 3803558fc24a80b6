"""What the study runs: setups (a backbone on a data set) and their variants."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

_CONFIGS = Path(__file__).parent / "configs"
_DEMO = Path(__file__).parents[2] / "configs/demo"

Overrides = dict[str, Any]  # settings by their dotted names
FDAM = dict(att_inv=True, freq_scale=True)
LOW, HIGH = dict(low=True, high=False), dict(low=False, high=True)


def fdam(rate: int = 2, **layers: Any) -> Overrides:
    """FDAM's layers, FreqScale's at ``rate`` times the learning rate."""
    return {
        "model.backbone.fdam": layers,
        "optim_wrapper.paramwise_cfg": dict(freq_scale_lr_mult=rate),
    }


def rival(name: str) -> Overrides:
    return {"model.backbone.type": "RivalVisionTransformer", "model.backbone.rival": name}


def wider(embed_dims: int, **more: Any) -> Overrides:
    head = {"model.decode_head.in_channels": embed_dims, **more}
    return {"model.backbone.embed_dims": embed_dims, **head}


def wider_stages(embed_dims: int) -> Overrides:
    stages = [embed_dims * heads for heads in (1, 2, 5, 8)]
    return wider(embed_dims, **{"model.decode_head.in_channels": stages})


@dataclass(frozen=True)
class Setup:
    """A backbone on a data set.

    Attributes:
        config: The plain model's.
        data: Which set: ``camvid``, ``textures`` or ``rotated``.
        steps: Of each training.
        rate: Learning rate.
        main: Variants by name that every seed runs.
        further: Those that the first seeds run.
        seeds: How many seeds ``main`` has, and ``further``.
        shape: Height and width at which FLOPs are counted.
        thin: Classes of thin things.
        large: Too large for a CPU.
    """

    config: Path
    data: str
    steps: int
    rate: float
    main: dict[str, Overrides]
    shape: tuple[int, int]
    further: dict[str, Overrides] = field(default_factory=dict)
    seeds: tuple[int, int] = (5, 3)
    thin: tuple[str, ...] = ()
    large: bool = False

    @property
    def variants(self) -> dict[str, Overrides]:
        return self.main | self.further


_MAIN = {
    "plain": {},
    "AttInv": fdam(att_inv=True),
    "FreqScale": fdam(freq_scale=True),
    "FDAM": fdam(**FDAM),
}
_RIVALS = {name: rival(name) for name in ("AttnScale", "FeatScale", "NeuTRENO")}
_LAYER_SCALE = {"LayerScale": {"model.backbone.layer_scale_init": 0.1}}
_HALVES = {
    "AttInv, low alone": fdam(att_inv=LOW),
    "AttInv, high alone": fdam(att_inv=HIGH),
}
_RATES = {
    "FDAM, FreqScale's rate x 1": fdam(1, **FDAM),
    "FDAM, FreqScale's rate x 10": fdam(10, **FDAM),
}
_REDUCED = {
    "FDAM, reduced values": fdam(att_inv=dict(value_source="reduced"), freq_scale=True),
}
_PARAMETERS, _TIME = "wider, FDAM's parameters", "wider, FDAM's time"
_THIN = ("pole", "sign", "fence")

SETUPS = {
    "vit_camvid": Setup(
        _CONFIGS / "vit_camvid.py",
        "camvid",
        1200,
        5e-4,
        _MAIN,
        (180, 240),
        {
            **_RIVALS,
            **_LAYER_SCALE,
            _PARAMETERS: wider(99),
            _TIME: wider(126),
            **_HALVES,
            **_RATES,
        },
        thin=_THIN,
    ),
    "segformer_camvid": Setup(
        _CONFIGS / "segformer_camvid.py",
        "camvid",
        1200,
        1e-3,
        {**_MAIN, **_REDUCED},
        (180, 240),
        {_PARAMETERS: wider_stages(33), **_RATES},
        thin=_THIN,
    ),
    "vit_textures": Setup(
        _CONFIGS / "vit_textures.py",
        "textures",
        500,
        1e-3,
        _MAIN,
        (64, 64),
        _RIVALS,
        seeds=(3, 1),
        thin=("wire",),
    ),
    "lsknet_rotated": Setup(
        _DEMO / "oriented-rcnn_lsknet_demo.py",
        "rotated",
        400,
        1e-3,
        {"plain": {}, "FDAM": fdam(freq_scale=True)},
        (192, 192),
        seeds=(3, 0),
    ),
    "vit_small_camvid": Setup(
        _CONFIGS / "vit_small_camvid.py",
        "camvid",
        8000,
        5e-4,
        _MAIN,
        (360, 480),
        {**_RIVALS, **_LAYER_SCALE, _PARAMETERS: wider(390), **_HALVES, **_RATES},
        thin=_THIN,
        large=True,
    ),
    "segformer_b2_camvid": Setup(
        _CONFIGS / "segformer_b2_camvid.py",
        "camvid",
        8000,
        1e-3,
        {**_MAIN, **_REDUCED},
        (360, 480),
        {_PARAMETERS: wider_stages(65), **_RATES},
        thin=_THIN,
        large=True,
    ),
}


class Planned(NamedTuple):
    """One training of the study."""

    setup: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        kept = "".join(c if c.isalnum() else " " for c in self.variant.replace("'s", "s"))
        return f"{self.setup}/{'-'.join(kept.split())}-{self.seed}"


def planned(
    pattern: str = "*", seeds: int | None = None, large: bool = False
) -> Iterator[Planned]:
    """All runs whose name fits, seed by seed, so that an unfinished study compares all variants.

    Args:
        pattern: Of names, ``vit_camvid/FDAM-*``.
        seeds: So many of each variant, in place of the setup's own numbers.
        large: The setups that want a GPU, in place of those for a CPU.
    """
    setups = {name: setup for name, setup in SETUPS.items() if setup.large == large}
    for seed in range(seeds or max(max(setup.seeds) for setup in setups.values())):
        for name, setup in setups.items():
            for variants, most in zip((setup.main, setup.further), setup.seeds, strict=True):
                if seed < (seeds or most):
                    runs = (Planned(name, variant, seed) for variant in variants)
                    yield from (run for run in runs if fnmatch(run.name, pattern))
