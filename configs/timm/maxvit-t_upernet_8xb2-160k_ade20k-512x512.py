# MaxViT takes one size, that of its windows and grids: training crops and sliding windows of 512.
_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(
    backbone=dict(
        model_name="maxvit_tiny_tf_512.in1k",
        img_size=512,
        out_indices=(1, 2, 3, 4),  # map 0 is the stem's
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(341, 341)),
)
