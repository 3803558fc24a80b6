"""What FDAM adds to models of other libraries: parameters, change at the start, time.

    python benchmarks/adapters.py --out benchmarks/adapters.json    about 10 minutes on a CPU core
    python benchmarks/adapters.py --table                           docs/backbones.md from it

For each model: added parameters, relative change of the output at the start, and the time of a
forward and of a training step (forward, backward) over the plain model's, medians of interleaved
runs. The tables of ``docs/backbones.md`` come from the adapters and from this record.
"""

import argparse
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm import apply_fdam
from fdam_mm.files import require_writable, write_atomically
from fdam_mm.inject.adapter import _ADAPTERS, AttentionAdapter, BlockAdapter, NoAttInv

ROOT = Path(__file__).resolve().parents[1]
PAGE, RECORD = ROOT / "docs/backbones.md", ROOT / "benchmarks/adapters.json"
TITLES = dict(
    timm="timm",
    transformers="transformers",
    torchvision="torchvision",
    openmmlab="mmseg, mmdet and mmpretrain",
    smp="segmentation_models_pytorch",
    pytorch="torch, in the blocks of torchvision, mmseg and mmdet",
)
LIBRARIES = tuple(TITLES)
SIZE = (224, 224)


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import torchvision

        return getattr(torchvision.models, name)(weights=None)

    return build


def _transformers(name: str, **settings: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        model = getattr(transformers, name)
        return model(model.config_class(**settings))

    return build


def _mmseg(name: str, **settings: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import mmseg.models.backbones as backbones

        return getattr(backbones, name)(**settings)

    return build


def _mmdet(name: str, **settings: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import mmdet.models as models

        return getattr(models, name)(**settings)

    return build


def _smp(encoder: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import segmentation_models_pytorch as smp

        return smp.Unet(encoder, encoder_weights=None)

    return build


_DEIT_T = dict(
    hidden_size=192, num_hidden_layers=6, num_attention_heads=3, intermediate_size=768,
    image_size=224, patch_size=16,
)  # fmt: skip
_MMSEG_VIT = dict(embed_dims=192, num_layers=6, num_heads=3, img_size=224)
_MIT = dict(embed_dims=32, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8])
_SWIN = dict(embed_dims=48, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16])
_HF_SWIN = dict(embed_dim=48, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16])

# Published small models, or such with fewer layers or channels, each by its library and name.
MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "torchvision vit, 192 channels, 6 blocks": (
        lambda: __import__("torchvision").models.VisionTransformer(224, 16, 6, 3, 192, 768), {},
    ),
    "torchvision swin_t": (_torchvision("swin_t"), {}),
    "torchvision swin_v2_t": (_torchvision("swin_v2_t"), {}),
    "torchvision maxvit_t": (_torchvision("maxvit_t"), {}),
    "torchvision convnext_tiny": (_torchvision("convnext_tiny"), dict(att_inv=False)),
    "mmseg VisionTransformer": (_mmseg("VisionTransformer", **_MMSEG_VIT), {}),
    "mmseg BEiT": (_mmseg("BEiT", init_values=0.1, **_MMSEG_VIT), {}),
    "mmseg MAE": (_mmseg("MAE", **_MMSEG_VIT), {}),
    "mmseg SwinTransformer": (_mmseg("SwinTransformer", **_SWIN), {}),
    "mmseg SVT": (_mmseg("SVT"), {}),
    "mmseg PCPVT": (_mmseg("PCPVT"), {}),
    "mmseg MixVisionTransformer (B0)": (_mmseg("MixVisionTransformer", **_MIT), {}),
    "mmdet PyramidVisionTransformerV2 (B0)": (
        _mmdet("PyramidVisionTransformerV2", embed_dims=32, num_layers=[2, 2, 2, 2]), {},
    ),
    "mmdet SwinTransformer": (_mmdet("SwinTransformer", **_SWIN), {}),
    "transformers ViT": (_transformers("ViTModel", **_DEIT_T), {}),
    "transformers DeiT": (_transformers("DeiTModel", **_DEIT_T), {}),
    "transformers BEiT": (_transformers("BeitModel", **_DEIT_T), {}),
    "transformers DINOv2": (_transformers("Dinov2Model", **_DEIT_T), {}),
    "transformers DINOv2 with registers": (
        _transformers("Dinov2WithRegistersModel", **_DEIT_T), {},
    ),
    "transformers DINOv3 ViT": (
        _transformers("DINOv3ViTModel", num_register_tokens=4, **_DEIT_T), {},
    ),
    "transformers CLIP vision": (_transformers("CLIPVisionModel", **_DEIT_T), {}),
    "transformers SigLIP vision": (_transformers("SiglipVisionModel", **_DEIT_T), {}),
    "transformers EoMT": (
        _transformers(
            "EomtForUniversalSegmentation", num_blocks=2, num_queries=50,
            **_DEIT_T,
        ), {},
    ),
    "transformers SegFormer (B0)": (_transformers("SegformerModel"), {}),
    "transformers PVT v2 (B0)": (_transformers("PvtV2Model"), {}),
    "transformers Swin": (_transformers("SwinModel", **_HF_SWIN), {}),
    "transformers Swin V2": (_transformers("Swinv2Model", **_HF_SWIN), {}),
    "transformers Hiera": (_transformers("HieraModel", embed_dim=48), {}),
    "transformers SAM 2 image encoder": (
        _transformers(
            "Sam2HieraDetModel", hidden_size=48, num_attention_heads=1, image_size=[224, 224],
            embed_dim_per_stage=[48, 96, 192, 384], blocks_per_stage=[1, 2, 3, 1],
            global_attention_blocks=[4],
        ), {},
    ),
    "transformers MobileViT": (_transformers("MobileViTModel"), {}),
    "transformers ConvNeXt": (_transformers("ConvNextModel"), dict(att_inv=False)),
    "transformers DINOv3 ConvNeXt": (
        _transformers("DINOv3ConvNextModel"), dict(att_inv=False),
    ),
    "transformers FocalNet": (_transformers("FocalNetModel"), dict(att_inv=False)),
    "smp Unet, mit_b0": (_smp("mit_b0"), {}),
    "smp Unet, tu-pvt_v2_b0": (_smp("tu-pvt_v2_b0"), {}),
}  # fmt: skip


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Added parameters, change at the start, and the ratios of times."""
    build, settings = MODELS[name]
    torch.manual_seed(0)
    plain, model = build(), build()
    model.load_state_dict(plain.state_dict())
    for each in (plain, model):
        each.eval()  # mmseg's returns nothing
    report = apply_fdam(model, **settings)
    image = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        before, after = _out(plain, image), _out(model, image)
    forward = _medians([plain, model], image, rounds, step=False)
    step = _medians([plain, model], image, rounds, step=True)
    return dict(
        att_inv=report.count("AttInv"),
        freq_scale=report.count("FreqScale"),
        added=report.parameters,
        parameters=sum(p.numel() for p in plain.parameters()),
        change=((after - before).norm() / before.norm()).item() if before.any() else None,
        forward=forward[1] / forward[0],
        step=step[1] / step[0],
        forward_s=forward,
        step_s=step,
    )


def _out(model: nn.Module, image: Tensor) -> Tensor:
    """All tensors of the output, flat."""
    return torch.cat([t.flatten() for t in _tensors(model(image))])


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _medians(models: list[nn.Module], image: Tensor, rounds: int, step: bool) -> list[float]:
    """Seconds of each model, run in turn; CPU time, which other programs do not lengthen."""
    times: list[list[float]] = [[] for _ in models]
    for number in range(rounds + 1):
        for model, found in zip(models, times, strict=True):
            begin = time.process_time()
            with torch.set_grad_enabled(step):
                out = _out(model, image)
            if step:
                out.square().mean().backward()
            if number:  # the first is to warm up
                found.append(time.process_time() - begin)
    return [statistics.median(found) for found in times]


def families_table() -> str:
    """Markdown: the shipped adapters by library and file, in the words of their docstrings."""
    files: dict[str, dict[str, list[type]]] = {library: {} for library in LIBRARIES}
    for adapter in dict.fromkeys(_ADAPTERS.values()):
        library = adapter.__module__.removeprefix("fdam_mm.inject.families.").split(".")[0]
        if library in files:  # else it is torch's attention, or somebody's own
            files[library].setdefault(adapter.__module__, []).append(adapter)
    lines = []
    for library, modules in files.items():
        lines += [f"### {TITLES[library]}", "", "| models | AttInv | FreqScale |", "|---|---|---|"]
        for module, adapters in modules.items():
            title = _markdown((importlib.import_module(module).__doc__ or "").partition("\n\n")[0])
            att_inv = [a for a in adapters if issubclass(a, AttentionAdapter)]
            freq_scale = [a for a in adapters if issubclass(a, BlockAdapter)]
            lines.append(f"| {title} | {_cell(att_inv)} | {_cell(freq_scale)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(adapters: list[type]) -> str:
    return "<br>".join(map(_line, adapters)) or "-"


def _line(adapter: Any) -> str:
    served = [name.rpartition(".")[2] for name, kind in _ADAPTERS.items() if kind is adapter]
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(served))
    if issubclass(adapter, NoAttInv):
        return f"{names}: no, {adapter.reason}"
    return f"{names}: {_markdown(adapter.__doc__)}"


def _markdown(docstring: str | None) -> str:
    """The whole docstring in one line."""
    return " ".join((docstring or "").split()).replace("``", "`").replace("|", "\\|")


def measured_table(record: dict[str, Any]) -> str:
    """Markdown: what was measured, a line for each model."""
    lines = [
        "| model | AttInv, FreqScale | added parameters | change at start | forward | step |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in record["models"].items():
        share = found["added"] / found["parameters"]
        change = "-" if found["change"] is None else f"{found['change']:.1e}"
        lines.append(
            f"| {name} | {found['att_inv']}, {found['freq_scale']} | {found['added']:,} "
            f"({share:.1%}) | {change} | {found['forward']:.2f} x "
            f"| {found['step']:.2f} x |"
        )
    return "\n".join(lines) + "\n"


def page(text: str, record: dict[str, Any]) -> str:
    """``docs/backbones.md`` with both tables anew."""
    for name, table in dict(families=families_table(), measured=measured_table(record)).items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, rest = text.split(begin)
        text = before + begin + table + end + rest.split(end)[1]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where the record goes; what it has is kept")
    parser.add_argument("--only", nargs="*", default=list(MODELS), help="names of models")
    parser.add_argument("--table", action="store_true", help=f"write the tables of {PAGE.name}")
    args = parser.parse_args()
    if args.out:
        require_writable(args.out)
    if args.out:
        torch.set_num_threads(1)
        record = json.loads(args.out.read_text()) if args.out.exists() else dict(models={})
        for name in args.only:
            record["models"][name] = measure(name, args.rounds)
            print(name, record["models"][name])
            record |= dict(torch=torch.__version__, machine=platform.machine(), threads=1)
            write_atomically(args.out, json.dumps(record, indent=1) + "\n")
    if args.table:
        PAGE.write_text(page(PAGE.read_text(), json.loads(RECORD.read_text())))


if __name__ == "__main__":
    main()
