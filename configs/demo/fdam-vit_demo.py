_base_ = "./vit_demo.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
optim_wrapper = dict(paramwise_cfg=dict(freq_scale_lr_mult=10))
