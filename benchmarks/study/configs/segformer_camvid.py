# SegFormer-B0 on the same pictures.
_base_ = "./vit_camvid.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMMixVisionTransformer",
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
    ),
    decode_head=dict(
        _delete_=True,
        type="SegformerHead",
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        num_classes=11,
        loss_decode=dict(type="CrossEntropyLoss", class_weight={{_base_.class_weight}}),
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
    ),
)
