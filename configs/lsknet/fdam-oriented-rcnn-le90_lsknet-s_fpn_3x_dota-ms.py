# Our choices, as the paper gives none for LSKNet: FreqScale alone, learning at the base rate.
_base_ = "./oriented-rcnn-le90_lsknet-s_fpn_3x_dota-ms.py"
model = dict(backbone=dict(fdam=dict(freq_scale=True)))
