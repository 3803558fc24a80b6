_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="AttNet",
        out_norm=True,
        drop_path_rate=0.2,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/attnet_t2.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 288, 512]),
    auxiliary_head=dict(in_channels=288),
)
