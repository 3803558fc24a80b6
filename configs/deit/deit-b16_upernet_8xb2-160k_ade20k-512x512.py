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
# mmseg decays everything but positions, class tokens and what its key "norm" means: the norms.
optim_wrapper = dict(paramwise_cfg=dict(decay_biases=True))
train_dataloader = dict(batch_size=2)
