# DINOv2 with registers, 12 epochs; timm resamples its patches of 14 to 16, as the authors do.
_base_ = "./eomt_dinov3-b16_8xb2-177k_coco-panoptic-640x640.py"
model = dict(
    backbone=dict(
        model_name="vit_large_patch14_reg4_dinov2.lvd142m",
        patch_size=16,
        rope_rescale_coords=None,
        num_blocks=4,
    )
)
optim_wrapper = dict(paramwise_cfg=dict(num_layers=24))
param_scheduler = dict(end=88700)
train_cfg = dict(max_iters=88700)
