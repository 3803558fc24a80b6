# mmseg's recipe for SegFormer-B0 on Cityscapes. Its pretrained weights, to be fetched by hand:
# https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth
_base_ = [
    "mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py",
    "../_base_/fdam_mm.py",
]
checkpoint = "pretrain/mit_b0_20220624-7e0fe6dd.pth"
model = dict(backbone=dict(type="FDAMMixVisionTransformer", init_cfg=dict(checkpoint=checkpoint)))
# unlike mmseg's: no weight decay on any 1-D parameter
optim_wrapper = dict(constructor="FDAMOptimWrapperConstructor")
auto_scale_lr = dict(enable=False, base_batch_size=8)
