"""The authors' L2ViT: its ImageNet files, and detectors and segmentors with it."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import drop_prefixes, has_component, rename, rename_by_patterns

_PATTERNS = [  # every rule once and in order, after "backbone."
    (r"^downsample_layers\.0\.proj\.proj\.", "stages.0.embed.proj."),
    (r"^downsample_layers\.(\d)\.", r"stages.\1.embed."),
    (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.cpe\.(\d)\.proj\.", r".cpe.\1."),
    (r"^norm(\d)\.", r"out_norms.\1."),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("local_mp.conv1",)) and has_component(
        state, ("downsample_layers.0",)
    )


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier."""
    state = rename(drop_prefixes(state, ("head.", "norm.")), {"local_mp": "lcm"})
    return rename_by_patterns(state, _PATTERNS)
