_base_ = "./eva02-b16_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
optim_wrapper = dict(paramwise_cfg=dict(freq_scale_lr_mult=10))
