# A segmentor small enough for tests, without anything random or per-batch: the same on one process
# and on several. Data: write_demo_set(root, num_train=8, num_val=4, size=64).
_base_ = "../../configs/demo/fdam-vit_demo.py"
norm_cfg = dict(_delete_=True, type="GN", num_groups=4)
head = dict(channels=16, norm_cfg=norm_cfg, dropout_ratio=0.0)
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(img_size=64, embed_dims=32, num_heads=2, drop_path_rate=0.0),
    neck=dict(embed_dims=32, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[32] * 4, **head),
    auxiliary_head=dict(in_channels=32, **head),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="PackSegInputs"),
]
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline), **loader)
val_dataloader = dict(**loader)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=6, val_interval=3)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=3, max_keep_ckpts=5, save_best="mIoU")
)
log_processor = dict(by_epoch=False, window_size=1)
