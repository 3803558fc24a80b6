# DeiT-III-B with UperNet for own data, as configs/deit3/; its weights are to be fetched by hand:
# https://dl.fbaipublicfiles.com/deit/deit_3_base_224_21k.pth
_base_ = ["mmseg::_base_/models/upernet_vit-b16_ln_mln.py", "./own_semantic.py"]
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type="FDAMVisionTransformer",
        img_size=512,
        embed_dims=768,
        num_heads=12,
        out_indices=(2, 5, 8, 11),
        layer_scale_init=1e-4,
        pad_patches=False,
        drop_path_rate=0.15,
        drop_path_ramp=False,
    ),
    neck=dict(_delete_=True, type="ViTPyramid", embed_dims=768, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_index=2),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.95, num_layers=12))
