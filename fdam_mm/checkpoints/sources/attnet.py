"""The authors' AttNet: its ImageNet files, and models with it."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, rename, rename_by_patterns

_PATTERNS: list[Pattern] = [  # every rule once and in order, after "backbone."
    (r"^downsample_layers\.0\.2\.(\d)\.", lambda m: f"stages.0.embed.{3 + int(m[1])}."),
    (r"^downsample_layers\.0\.0\.", "stages.0.embed."),
    (r"^downsample_layers\.(\d)\.", r"stages.\1.embed."),
    (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.layer_scale_(\d)\.gamma$", r".gamma_\1"),
    (r"\.norm_(\d)\.", r".norm\1."),
]
_NAMES = {
    "token_mixer.difference_control": "token_mixer.inhibition",
    "channel_mixer.norm_layer": "channel_mixer.norm",
}


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("token_mixer.difference_control",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier, and makes the 1x1 convolutions linears."""
    state = rename(drop_prefixes(state, ("head.", "norm.")), _NAMES)
    return {
        key: value.flatten(1) if "_mixer." in key and value.shape[2:] == (1, 1) else value
        for key, value in rename_by_patterns(state, _PATTERNS).items()
    }
