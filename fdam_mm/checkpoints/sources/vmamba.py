"""The authors' VMamba: its ImageNet files, and detectors and segmentors with it."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, next_stage, rename_by_patterns

_PATTERNS: list[Pattern] = [
    (r"^patch_embed\.0\.", "stages.0.embed.proj1."),
    (r"^patch_embed\.2\.", "stages.0.embed.norm1."),
    (r"^patch_embed\.5\.", "stages.0.embed.proj2."),
    (r"^patch_embed\.7\.", "stages.0.embed.norm2."),
    (r"^layers\.(\d+)\.downsample\.1\.", next_stage("embed.proj.")),
    (r"^layers\.(\d+)\.downsample\.3\.", next_stage("embed.norm.")),
    (r"^layers\.(\d+)\.", r"stages.\1."),
    (r"\.op\.conv2d\.", ".op.conv."),
    (r"\.op\.out_norm\.", ".op.norm."),
    (r"\.op\.A_logs$", ".op.log_rates"),
    (r"\.op\.Ds$", ".op.skip"),
    (r"\.op\.x_proj_weight$", ".op.scan_proj"),
    (r"\.op\.dt_projs_weight$", ".op.step_proj"),
    (r"\.op\.dt_projs_bias$", ".op.step_bias"),
    (r"^outnorm(\d+)\.", r"out_norms.\1."),
]
_LINEARS = ("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("op.dt_projs_weight",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier, and makes 1x1 convolutions linears."""
    renamed = rename_by_patterns(drop_prefixes(state, ("classifier.",)), _PATTERNS)
    return {key: _linear(key, value) for key, value in renamed.items()}


def _linear(key: str, value: Tensor) -> Tensor:
    return value.flatten(1) if ".blocks." in key and key.endswith(_LINEARS) else value
