# SegFormer-B0 for own data. Its ImageNet weights, to be fetched by hand:
# https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth
_base_ = ["mmseg::_base_/models/segformer_mit-b0.py", "./own_semantic.py"]
model = dict(backbone=dict(type="FDAMMixVisionTransformer"))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0), head=dict(lr_mult=10.0)
        )
    )
)
