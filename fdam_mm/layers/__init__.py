"""The layers of FDAM in pure PyTorch: nothing of OpenMMLab is imported here."""

from .att_inv import AttInv
from .attention import AttInvAttention
from .freq_scale import FreqScale
from .star_relu import StarReLU

__all__ = ["AttInv", "AttInvAttention", "FreqScale", "StarReLU"]
