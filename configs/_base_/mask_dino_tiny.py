# A small Mask DINO from drawn weights, minutes on a CPU: model = _base_.mask_dino_tiny.
layers = dict(num_heads=4, num_points=4, feedforward_channels=256)
mask_dino_tiny = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,
        norm_cfg=dict(type="GN", num_groups=8, requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    panoptic_head=dict(
        num_queries=100,
        pixel_decoder=dict(
            in_channels=[32, 64, 128, 256],
            feat_channels=64,
            out_channels=64,
            num_levels=3,
            num_groups=8,
            encoder=dict(num_layers=2, **layers),
        ),
        decoder=dict(num_layers=3, **layers),
        denoising=dict(num_queries=50),
        loss=dict(num_points=1024),
        init_cfg=dict(
            type="Normal",
            layer=[],
            override=dict(type="Normal", name="cls_embed", std=0.01, bias_prob=0.01),
        ),
    ),
)
mask_dino_tiny_optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))),
)
