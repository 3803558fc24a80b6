_base_ = "./crossformer-s_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        embed_dims=(64, 128, 256, 512),
        depths=(2, 2, 18, 2),
        num_heads=(2, 4, 8, 16),
        cooling=True,
        init_cfg=dict(checkpoint="pretrain/crossformer++_small.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
