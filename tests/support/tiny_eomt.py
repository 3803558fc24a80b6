# EoMT small enough for tests: DINOv3's ViT of two blocks. Data as tiny.py's.
_base_ = "./tiny.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="EoMT",
        model_name="vit_small_patch16_dinov3_qkvb",
        depth=2,
        embed_dim=32,
        num_heads=2,
        img_size=64,
        num_classes=7,
        num_queries=9,
        num_blocks=1,
        fdam=dict(att_inv=True, freq_scale=True),
    ),
    neck=None,
    decode_head=dict(
        _delete_=True, type="EoMTDecodeHead", num_classes=7, num_queries=9, num_points=64
    ),
    auxiliary_head=None,
)
optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay=0.8, num_layers=2, layer_rule="eomt", freq_scale_lr_mult=10)
)
param_scheduler = [dict(type="TwoStageWarmupPolyLR", warmup=(1, 1), end=6)]
