"""Encoder and decoder of Mask DINO on sequences of tokens."""

from .decoder import MaskDINODecoder
from .encoder import DeformableEncoder
from .tokens import Levels, centres, flatten_maps, split_tokens

__all__ = [
    "DeformableEncoder",
    "Levels",
    "MaskDINODecoder",
    "centres",
    "flatten_maps",
    "split_tokens",
]
