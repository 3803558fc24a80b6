"""The authors' SG-Former: its ImageNet files, and models with it."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, join_queries, rename_by_patterns


def _layer(first: int, step: int) -> Callable[[re.Match[str]], str]:
    """Index of a convolution or its norm, with an activation after each pair."""
    return lambda m: f"{3 * ((int(m['at']) - first) // step) + int(m['kind'] == 'bn')}."


_PATTERNS: list[Pattern] = [  # every rule once and in order, after "backbone."
    (r"(?<=^patch_embed1\.conv\.)(?P<at>\d)\.(?P<kind>c|bn)\.", _layer(0, 2)),
    (r"(?<=^patch_embed\d\.)conv(?P<at>\d)\.(?P<kind>c|bn)\.", _layer(1, 1)),
    (r"^patch_embed1\.conv\.", "stages.0.embed.proj."),
    (r"^patch_embed(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.embed."),
    (r"^pos_embed$", "stages.0.embed.pos_embed"),
    (r"^block(\d)\.(\d+)\.", lambda m: f"stages.{int(m[1]) - 1}.blocks.{m[2]}."),
    (r"^norm(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.norm."),
    (r"\.attn\.f(\d)\.", lambda m: f".attn.merges.{int(m[1]) - 1}."),
    (r"\.attn\.lepe_", ".attn.lepe."),
    (r"\.mlp\.dwconv\.dwconv\.", ".mlp.dwconv."),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("attn.lepe_linear",)) and has_component(state, ("mlp.dwconv",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier, and joins the last stage's queries, keys and values.

    Raises:
        CheckpointError: Of an attention's query and key-value projections one is missing.
    """
    return join_queries(rename_by_patterns(drop_prefixes(state, ("head.",)), _PATTERNS))
