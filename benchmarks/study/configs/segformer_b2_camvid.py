# SegFormer-B2 on the same pictures.
_base_ = "./vit_small_camvid.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMMixVisionTransformer",
        embed_dims=64,
        num_layers=[3, 4, 6, 3],
        num_heads=[1, 2, 5, 8],
    ),
    decode_head=dict(
        _delete_=True,
        type="SegformerHead",
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=11,
        loss_decode=dict(type="CrossEntropyLoss", class_weight={{_base_.class_weight}}),
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
    ),
)
