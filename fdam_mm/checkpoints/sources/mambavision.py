"""The authors' MambaVision: its ImageNet files, and models with it."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, rename, rename_by_patterns

_CONV = {"conv1": "layers.0", "norm1": "layers.1", "conv2": "layers.3", "norm2": "layers.4"}
_PATTERNS: list[Pattern] = [  # every rule once and in order, after "backbone."
    (r"^patch_embed\.conv_down\.", "stages.0.embed."),
    (r"^levels\.(\d)\.downsample\.reduction\.", lambda m: f"stages.{int(m[1]) + 1}.embed."),
    (
        r"^levels\.([01])\.blocks\.(\d+)\.(conv\d|norm\d)\.",
        lambda m: f"stages.{m[1]}.blocks.{m[2]}.{_CONV[m[3]]}.",
    ),
    (r"^levels\.", "stages."),
    (r"^outnorm(\d)\.", r"out_norms.\1."),
]
_NAMES = {
    "mixer.A_log": "mixer.log_rates",
    "mixer.D": "mixer.skip",
    "mixer.x_proj": "mixer.scan_proj",
    "mixer.dt_proj": "mixer.step_proj",
    "mixer.conv1d_x": "mixer.conv_x",
    "mixer.conv1d_z": "mixer.conv_z",
}


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("mixer.conv1d_x",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier."""
    state = rename_by_patterns(drop_prefixes(state, ("head.", "norm.")), _PATTERNS)
    return rename(state, _NAMES)
