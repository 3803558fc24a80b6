_base_ = "./deit-b16_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        embed_dims=384,
        num_heads=6,
        init_cfg=dict(checkpoint="pretrain/deit_small_patch16_224-cd65a155.pth"),
    ),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
)
