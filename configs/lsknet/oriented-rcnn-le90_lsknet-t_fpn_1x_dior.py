_base_ = "./oriented-rcnn-le90_lsknet-s_fpn_1x_dior.py"
model = dict(
    backbone=dict(
        embed_dims=[32, 64, 160, 256],
        depths=[3, 3, 5, 2],
        init_cfg=dict(checkpoint="pretrain/lsk_t_backbone.pth"),
    ),
    neck=dict(in_channels=[32, 64, 160, 256]),
)
