_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="SOFT",
        drop_path_rate=0.1,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/soft_norm_tiny.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
    auxiliary_head=dict(in_channels=320),
)
