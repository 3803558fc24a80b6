# mmseg's recipe for DeiT (vit_deit-b16_upernet_8xb2-160k): no neck, class token kept.
_base_ = "../_base_/upernet_vit_ade20k.py"
model = dict(
    backbone=dict(
        with_cls_token=True,
        drop_path_rate=0.1,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/deit_base_patch16_224-b5f2ef4d.pth"),
    ),
    neck=None,
)
train_dataloader = dict(batch_size=2)
