_base_ = "./deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        embed_dims=384, num_heads=6, init_cfg=dict(checkpoint="pretrain/deit_3_small_224_21k.pth")
    ),
    neck=dict(embed_dims=384),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
)
