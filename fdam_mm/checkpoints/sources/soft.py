"""The authors' SOFT: its ImageNet files, and models with it."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, join_queries, rename_by_patterns

_PATTERNS: list[Pattern] = [  # every rule once and in order, after "backbone."
    (r"^patch_embed([123])\.", lambda m: f"stages.{int(m[1]) - 1}.embed."),
    (r"^patch_embed4\.", "stages.3."),
    (r"^pos_embed([123])$", lambda m: f"stages.{int(m[1]) - 1}.embed.pos_embed"),
    (r"^pos_embed4$", "stages.3.pos_embed"),
    (r"^(cls_token$|norm\.)", r"stages.3.\1"),
    (r"^block(\d)\.(\d+)\.", lambda m: f"stages.{int(m[1]) - 1}.blocks.{m[2]}."),
    (r"\.att\.mha\.W_([qv])\.", r".attn.\1."),
    (r"\.att\.mha\.attn\.Qlandmark_op\.", ".attn.landmarks."),
    (r"\.att\.mha\.attn\.Qnorm_act\.0\.", ".attn.landmark_norm."),
    (r"\.att\.mha\.(attn\.)?(conv|ff)\.", r".attn.\2."),
    (r"\.att\.ff([12])\.", r".mlp.fc\1."),
    (r"\.att\.norm", ".norm"),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("att.mha.attn.Qlandmark_op",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier, and joins the last stage's queries, keys and values.

    Raises:
        CheckpointError: Of an attention's query and key-value projections one is missing.
    """
    state = rename_by_patterns(drop_prefixes(state, ("head.",)), _PATTERNS)
    return join_queries(state)
