_base_ = "./eomt_dinov2-b16_8xb2-40k_ade20k-512x512.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
optim_wrapper = dict(paramwise_cfg=dict(freq_scale_lr_mult=10))
