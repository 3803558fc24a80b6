# A small Mask DINO on the generated demo set in COCO's layout; minutes on two CPU cores:
#   tools/make_demo_set.py data/demo_coco --layout coco --train 1024
# It predicts boxes and masks of the objects, and panoptic segments of everything.
_base_ = ["mmdet::_base_/default_runtime.py", "../_base_/fdam_mm.py"]
thing_classes = (
    "coarse_horizontal",
    "coarse_vertical",
    "coarse_diagonal",
    "fine_horizontal",
    "fine_vertical",
    "fine_diagonal",
)
stuff_classes = (
    "coarse_horizontal_ground",
    "coarse_vertical_ground",
    "coarse_diagonal_ground",
    "fine_horizontal_ground",
    "fine_vertical_ground",
    "fine_diagonal_ground",
    "wire",
)
palette = [  # tuples: mmdet cannot draw lists
    (0, 73, 146),
    (0, 146, 146),
    (109, 182, 255),
    (146, 0, 0),
    (219, 109, 0),
    (255, 182, 119),
    (0, 36, 73),
    (0, 73, 73),
    (54, 91, 127),
    (73, 0, 0),
    (109, 54, 0),
    (127, 91, 59),
    (255, 255, 109),
]
data_root = "data/demo_coco/"
demo_set = dict(layout="coco", train=1024, val=32, size=128)
max_iters = 1200

norm_cfg = dict(type="GN", num_groups=8)
layers = dict(num_heads=4, num_points=4, feedforward_channels=256)
model = dict(
    type="MaskDINO",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=True,
        mask_pad_value=0,
        pad_seg=True,
        seg_pad_value=255,
    ),
    backbone=dict(type="ResNet", depth=18, base_channels=32, norm_cfg=norm_cfg, norm_eval=False),
    panoptic_head=dict(
        type="MaskDINOHead",
        num_things_classes=len(thing_classes),
        num_stuff_classes=len(stuff_classes),
        num_queries=30,
        init_box="mask2box",
        pixel_decoder=dict(
            type="MaskDINOPixelDecoder",
            in_channels=[32, 64, 128, 256],
            feat_channels=64,
            out_channels=64,
            num_levels=3,
            num_encoder_inputs=3,
            num_groups=8,
            encoder=dict(num_layers=2, **layers),
        ),
        decoder=dict(num_layers=3, **layers),
        denoising=dict(num_queries=30),
        loss=dict(num_points=192),
        init_cfg=dict(
            type="Normal",
            layer=[],
            override=dict(type="Normal", name="cls_embed", std=0.01, bias_prob=0.01),
        ),
    ),
    test_cfg=dict(instance_on=True, panoptic_on=True, semantic_on=False, max_per_image=30),
)

# Mirroring keeps a texture's class, scaling and rotating do not.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCocoPanoptic"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCocoPanoptic"),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
dataset = dict(
    type="CocoPanopticDataset",
    data_root=data_root,
    metainfo=dict(
        classes=thing_classes + stuff_classes,
        thing_classes=thing_classes,
        stuff_classes=stuff_classes,
        palette=palette,
    ),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        ann_file="annotations/panoptic_train2017.json",
        data_prefix=dict(img="train2017/", seg="annotations/panoptic_train2017/"),
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
        ann_file="annotations/panoptic_val2017.json",
        data_prefix=dict(img="val2017/", seg="annotations/panoptic_val2017/"),
        pipeline=test_pipeline,
        test_mode=True,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type="CocoMetric",
        ann_file=data_root + "annotations/instances_val2017.json",
        metric=["bbox", "segm"],
    ),
    dict(
        type="CocoPanopticQuality",
        ann_file=data_root + "annotations/panoptic_val2017.json",
        seg_prefix=data_root + "annotations/panoptic_val2017/",
    ),
]
test_evaluator = val_evaluator

train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=max_iters // 3)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.97), weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
    constructor="FDAMOptimWrapperConstructor",
    paramwise_cfg=dict(),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", eta_min=0.0, by_epoch=False, begin=50, end=max_iters),
]
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="CheckpointHook", by_epoch=False, interval=max_iters // 3, max_keep_ckpts=2
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="DetVisualizationHook", score_thr=0.25),
)
visualizer = dict(type="PanelVisualizer", min_side=640)
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
