# DeiT-III-B as in the FDAM release: LayerScale, no class token, pyramid neck, layer-wise decay.
_base_ = "../_base_/upernet_vit_ade20k.py"
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    backbone=dict(
        layer_scale_init=1e-4,
        pad_patches=False,  # whole pictures are tested, whose sides are no multiples of 16
        drop_path_rate=0.15,
        drop_path_ramp=False,
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/deit_3_base_224_21k.pth"),
    ),
    neck=dict(_delete_=True, type="ViTPyramid", embed_dims=768, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_index=2),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.95, num_layers=12))
train_dataloader = dict(batch_size=4)
