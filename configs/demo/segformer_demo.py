# SegFormer-B0 on the generated demo set (tools/make_demo_set.py data/demo); minutes on two CPU
# cores.
_base_ = "./vit_demo.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMMixVisionTransformer",
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        drop_path_rate=0.05,
    ),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="SegformerHead",
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        num_classes=7,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
    ),
    auxiliary_head=None,
)
