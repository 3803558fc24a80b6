_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="CrossFormer",
        drop_path_rate=0.3,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/crossformer_small.pth"),
    )
)
