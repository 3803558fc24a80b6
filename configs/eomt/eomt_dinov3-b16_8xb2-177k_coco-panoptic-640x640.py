# Panoptic: 80 things and 53 stuff classes, 200 queries, 24 epochs, pictures within squares of 640.
# The data and PQ work without panopticapi: fdam_mm.panoptic.
_base_ = [
    "../_base_/coco_panoptic.py",
    "mmdet::_base_/default_runtime.py",
    "../_base_/eomt.py",
]
image_size = (640, 640)
model = dict(
    type="MaskFormer",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=640,  # to the whole square
        pad_mask=True,
        mask_pad_value=0,
        pad_seg=True,
        seg_pad_value=255,
    ),
    backbone=dict(
        type="EoMT",
        model_name="vit_base_patch16_dinov3_qkvb.lvd1689m",
        num_classes=133,
        num_queries=200,
        num_blocks=3,
        img_size=640,
        rope_rescale_coords=2.0,  # in training
        pretrained=True,  # timm downloads the weights when a training starts
    ),
    panoptic_head=dict(
        type="EoMTHead", num_things_classes=80, num_stuff_classes=53, num_queries=200
    ),
    panoptic_fusion_head=dict(
        type="MaskFormerFusionHead",
        num_things_classes=80,
        num_stuff_classes=53,
        loss_panoptic=None,
        init_cfg=None,
    ),
    train_cfg=dict(),
    test_cfg=dict(
        panoptic_on=True,
        semantic_on=False,
        instance_on=True,
        max_per_image=100,
        object_mask_thr=0.8,
        iou_thr=0.8,
        filter_low_score=True,
    ),
)
train_pipeline = [
    dict(type="LoadImageFromFile", to_float32=True),
    dict(type="LoadCocoPanoptic"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomResize", scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_size=image_size,
        crop_type="absolute",
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-5, 1e-5), by_mask=True, keep_empty=False),
    dict(type="PackDetInputs"),
]
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(type="Resize", scale=image_size, keep_ratio=True)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [*_base_.val_evaluator]
val_evaluator[1] = dict(_base_.val_evaluator[1], metric=["segm"])
test_evaluator = val_evaluator
param_scheduler = dict(end=177000)
train_cfg = dict(max_iters=177000, val_interval=10000)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=10000, max_keep_ckpts=3),
)
log_processor = dict(by_epoch=False)
