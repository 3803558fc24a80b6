_base_ = "./deit-b16_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        embed_dims=192,
        num_heads=3,
        init_cfg=dict(checkpoint="pretrain/deit_tiny_patch16_224-a1311bcf.pth"),
    ),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192),
)
