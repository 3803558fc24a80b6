_base_ = "./dinov3-b16_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(model_name="vit_small_patch16_dinov3.lvd1689m"),
    neck=dict(embed_dims=384),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
)
