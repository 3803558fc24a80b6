_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="VMamba",
        drop_path_rate=0.2,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/vmamba_tiny.pth"),
    )
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(log_rates=dict(decay_mult=0.0))))
