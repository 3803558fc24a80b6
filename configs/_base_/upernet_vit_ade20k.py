# UperNet on a plain ViT: what DeiT and DeiT-III share.
_base_ = [
    "mmseg::_base_/models/upernet_vit-b16_ln_mln.py",
    "./adamw_160k_ade20k.py",
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type="FDAMVisionTransformer",
        img_size=512,
        embed_dims=768,
        num_heads=12,
        out_indices=(2, 5, 8, 11),
    ),
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)
