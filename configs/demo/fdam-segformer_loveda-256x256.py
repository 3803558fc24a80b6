# SegFormer-B0 with FDAM on LoveDA pictures, as configs/demo/fdam-vit_loveda-256x256.py.
#   tools/dist_train.sh configs/demo/fdam-segformer_loveda-256x256.py 2 \
#     --cfg-options data_root=FOLDER
_base_ = "./fdam-vit_loveda-256x256.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMMixVisionTransformer",
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        drop_path_rate=0.05,
        fdam=dict(att_inv=True, freq_scale=True),
    ),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="SegformerHead",
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        num_classes=7,
        norm_cfg=dict(type="GN", num_groups=8),
        align_corners=False,
    ),
    auxiliary_head=None,
)
