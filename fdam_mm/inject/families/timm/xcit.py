"""XCiT is out: its attention is over channels. Registered to say so."""

from typing import Any

from fdam_mm.inject.adapter import AttentionAdapter, Unsupported, register_adapter


@register_adapter("timm.models.xcit.XCA")
class CrossCovarianceAttention(AttentionAdapter):
    """The softmax is over channels."""

    def __init__(self, attn: Any) -> None:
        raise Unsupported("channel attention averages channels, not tokens; XCiT is not served")


@register_adapter("timm.models.cait.ClassAttn")
class ClassAttention(AttentionAdapter):
    """The class token alone asks."""

    def __init__(self, attn: Any) -> None:
        raise Unsupported("class attention has one query, the class token; it has no grid")
