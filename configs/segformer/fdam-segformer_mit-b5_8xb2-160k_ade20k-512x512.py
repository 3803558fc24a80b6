# Our choice, as the paper gives no multiplier for SegFormer: FreqScale learns at the base rate.
_base_ = "./segformer_mit-b5_8xb2-160k_ade20k-512x512.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
