# ViT-S/16 on CamVid at full size, for a GPU.
_base_ = "./vit_camvid.py"
side = 320
full = dict(scale=(480, 360), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline]
train_pipeline[2:4] = [
    dict(type="RandomResize", ratio_range=(0.75, 1.5), **full),
    dict(type="RandomCrop", crop_size=(side, side), cat_max_ratio=0.75),
]
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(type="Resize", **full)
workers = dict(num_workers=4, persistent_workers=True)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline), **workers)
test_dataloader = val_dataloader
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline), **workers)
model = dict(
    data_preprocessor=dict(size=(side, side)),
    backbone=dict(img_size=side, patch_size=16, embed_dims=384, num_heads=6),
    decode_head=dict(in_channels=384, channels=384),
)
