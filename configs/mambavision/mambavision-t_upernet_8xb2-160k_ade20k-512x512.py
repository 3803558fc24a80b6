_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="MambaVision",
        drop_path_rate=0.3,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/mambavision_tiny_1k.pth.tar"),
    ),
    decode_head=dict(in_channels=[80, 160, 320, 640]),
    auxiliary_head=dict(in_channels=320),
)
optim_wrapper = dict(optimizer=dict(lr=5e-5))
