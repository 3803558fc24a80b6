# Our choice, as the paper gives no multiplier for SegFormer: FreqScale learns at the base rate.
_base_ = "./segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
