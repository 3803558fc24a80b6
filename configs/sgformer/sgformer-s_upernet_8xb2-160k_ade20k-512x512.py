_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="SGFormer",
        drop_path_rate=0.1,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/sgformer_s.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
