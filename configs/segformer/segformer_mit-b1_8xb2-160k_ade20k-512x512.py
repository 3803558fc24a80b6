# mmseg's recipe for SegFormer-B1 on ADE20K. Its pretrained weights, to be fetched by hand:
# https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/mit_b1_20220624-02e5a6a1.pth
_base_ = [
    "mmseg::segformer/segformer_mit-b1_8xb2-160k_ade20k-512x512.py",
    "../_base_/fdam_mm.py",
]
checkpoint = "pretrain/mit_b1_20220624-02e5a6a1.pth"
model = dict(backbone=dict(type="FDAMMixVisionTransformer", init_cfg=dict(checkpoint=checkpoint)))
# unlike mmseg's: no weight decay on any 1-D parameter
optim_wrapper = dict(constructor="FDAMOptimWrapperConstructor")
auto_scale_lr = dict(enable=False, base_batch_size=16)
