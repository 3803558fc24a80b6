# A small segmentor in whose training everything is random: mosaic, crop, mirroring, colours,
# drop-path, dropout; with averaged weights. Data: tools/make_demo_set.py or kills.py.
_base_ = "../../configs/demo/fdam-vit_demo.py"
size = 64
norm_cfg = dict(_delete_=True, type="GN", num_groups=4)
head = dict(channels=16, norm_cfg=norm_cfg, dropout_ratio=0.2)
model = dict(
    data_preprocessor=dict(size=(size, size)),
    backbone=dict(img_size=size, embed_dims=32, num_layers=4, num_heads=2, drop_path_rate=0.2),
    neck=dict(embed_dims=32, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[32] * 4, **head),
    auxiliary_head=dict(in_channels=32, **head),
)
pictures = dict(
    type="BaseSegDataset",
    data_root="data/demo",
    metainfo=dict(classes={{_base_.classes}}, palette={{_base_.palette}}),
    reduce_zero_label=True,
    data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
    pipeline=[
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations", reduce_zero_label=True),
    ],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="MultiImageMixDataset",
        dataset=pictures,
        pipeline=[
            dict(type="RandomMosaic", prob=0.5, img_scale=(size, size)),
            dict(type="RandomCrop", crop_size=(size, size)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PhotoMetricDistortion"),
            dict(type="PackSegInputs"),
        ],
    ),
)
loader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(**loader)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=60, val_interval=20)
custom_hooks = [dict(type="EMAHook", momentum=0.05)]
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=3, max_keep_ckpts=3, save_best="mIoU"),
)
log_processor = dict(by_epoch=False, window_size=1)
