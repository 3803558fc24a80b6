# DINOv2 with registers; timm resamples its patches of 14 to 16, as the authors do.
_base_ = "./eomt_dinov3-b16_8xb2-40k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        model_name="vit_base_patch14_reg4_dinov2.lvd142m", patch_size=16, rope_rescale_coords=None
    )
)
