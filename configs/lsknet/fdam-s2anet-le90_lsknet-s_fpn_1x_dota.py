# Our choices, as the paper gives none for LSKNet: FreqScale alone, learning at the base rate.
_base_ = "./s2anet-le90_lsknet-s_fpn_1x_dota.py"
model = dict(backbone=dict(fdam=dict(freq_scale=True)))
