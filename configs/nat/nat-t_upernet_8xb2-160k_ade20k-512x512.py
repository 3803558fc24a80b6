_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="NAT",
        drop_path_rate=0.2,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/nat_tiny.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rpb=dict(decay_mult=0.0))))
