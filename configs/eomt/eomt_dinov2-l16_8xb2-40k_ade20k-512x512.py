_base_ = "./eomt_dinov2-b16_8xb2-40k_ade20k-512x512.py"
model = dict(backbone=dict(model_name="vit_large_patch14_reg4_dinov2.lvd142m", num_blocks=4))
optim_wrapper = dict(paramwise_cfg=dict(num_layers=24))
