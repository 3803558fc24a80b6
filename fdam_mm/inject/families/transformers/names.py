"""Where transformers keeps its classes, and what its attentions share."""

from typing import Any

from fdam_mm.inject.adapter import AttentionAdapter, Call, widths


def names(*classes: str) -> list[str]:
    """``"vit.ViTLayer"`` -> ``"transformers.models.vit.modeling_vit.ViTLayer"``."""
    parts = (name.split(".") for name in classes)
    return [f"transformers.models.{model}.modeling_{model}.{name}" for model, name in parts]


class ProjectedAttention(AttentionAdapter):
    """Linears ``q_proj``, ``k_proj``, ``v_proj`` and ``o_proj``, with any attention function."""

    values: str | None = "v_proj"
    projection = "o_proj"

    def __init__(self, attn: Any) -> None:
        self.dim = widths(getattr(attn, self.projection))[0]
        self.num_heads = self.dim // attn.head_dim


def unreduced_values(call: Call, child: str) -> Any:
    """The value projection of the input, whose keys and values the attention reduces."""
    return getattr(call.attn, child)(call.argument())
