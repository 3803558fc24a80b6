"""What several families share: an attention whose values are the last third of ``qkv``."""

from typing import Any

from fdam_mm.inject.adapter import AttentionAdapter, Unsupported, widths


class QKVAttention(AttentionAdapter):
    """``qkv`` is one projection of the input, and ``proj`` takes ``y``."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        require_same_width(widths(attn.qkv)[0], self.dim)


class SeparateBiasAttention(QKVAttention):
    """``qkv`` has no bias of its own: queries and values have a parameter each.

    By default the attention uses only the weight of ``qkv``, in one product with the bias; with
    ``qkv_bias_separate`` it calls the child and then adds the bias to the result, in place. Both
    are the same up to rounding, and what the child returned holds the biased values either way.
    """

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        if attn.q_bias is not None:
            self.attributes = {"qkv_bias_separate": True}


def require_same_width(dim_in: int, dim: int) -> None:
    """AttInv's gates read the input and act on ``y``: both must have the same channels."""
    if dim_in != dim:
        raise Unsupported(f"its input has {dim_in} channels, its values have {dim}")
