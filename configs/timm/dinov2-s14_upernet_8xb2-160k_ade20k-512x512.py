# The input is padded to whole patches of 14.
_base_ = "../_base_/upernet_timm_vit_ade20k.py"
model = dict(
    backbone=dict(model_name="vit_small_patch14_dinov2.lvd142m"),
    neck=dict(embed_dims=384),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
)
