_base_ = "./eomt_dinov3-b16_8xb2-177k_coco-panoptic-640x640.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
optim_wrapper = dict(paramwise_cfg=dict(freq_scale_lr_mult=10))
