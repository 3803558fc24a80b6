# A small ViT with UperNet on the generated demo set (tools/make_demo_set.py data/demo); minutes on
# two CPU cores. `make demo` runs its fdam- twin.
_base_ = ["mmseg::_base_/default_runtime.py", "../_base_/fdam_mm.py"]
classes = (
    "coarse_horizontal",
    "coarse_vertical",
    "coarse_diagonal",
    "fine_horizontal",
    "fine_vertical",
    "fine_diagonal",
    "wire",
)
palette = [
    [0, 73, 146],
    [0, 146, 146],
    [109, 182, 255],
    [146, 0, 0],
    [219, 109, 0],
    [255, 182, 119],
    [255, 255, 109],
]
data_root = "data/demo"
demo_set = dict(layout="ade20k", train=256, val=32, size=128)
max_iters = 600

norm_cfg = dict(type="SyncBN", requires_grad=True)
head = dict(num_classes=len(classes), channels=48, norm_cfg=norm_cfg, align_corners=False)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(128, 128),
    ),
    backbone=dict(
        type="FDAMVisionTransformer",
        img_size=128,
        patch_size=8,
        embed_dims=96,
        num_layers=4,
        num_heads=3,
        out_indices=(0, 1, 2, 3),
        layer_scale_init=0.1,
        drop_path_rate=0.05,
        drop_path_ramp=False,
    ),
    neck=dict(type="ViTPyramid", embed_dims=96, norm_cfg=norm_cfg),
    decode_head=dict(type="UPerHead", in_channels=[96] * 4, in_index=[0, 1, 2, 3], **head),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=96,
        in_index=2,
        num_convs=1,
        concat_input=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
        **head,
    ),
    test_cfg=dict(mode="whole"),
)

# Mirroring keeps a texture's class, scaling and rotating do not.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="PackSegInputs"),
]
dataset = dict(
    type="BaseSegDataset",
    data_root=data_root,
    metainfo=dict(classes=classes, palette=palette),
    reduce_zero_label=True,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path="images/validation", seg_map_path="annotations/validation"),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator

train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=max_iters // 2)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
    constructor="FDAMOptimWrapperConstructor",
    paramwise_cfg=dict(),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=50, end=max_iters),
]
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="CheckpointHook", by_epoch=False, interval=max_iters // 2, max_keep_ckpts=2
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="SegVisualizationHook"),
)
randomness = dict(seed=0)
