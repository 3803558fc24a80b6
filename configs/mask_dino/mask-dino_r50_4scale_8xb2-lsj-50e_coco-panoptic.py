# The data and PQ work without panopticapi: fdam_mm.panoptic.
_base_ = ["mmdet::_base_/datasets/coco_panoptic.py", "../_base_/mask_dino_r50.py"]
image_size = (1024, 1024)
model = dict(
    data_preprocessor=dict(pad_seg=True, seg_pad_value=255),
    panoptic_head=dict(num_stuff_classes=53, init_box=None),
    test_cfg=dict(panoptic_on=True, object_mask_thr=0.25, iou_thr=0.8),
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
    dict(type="Pad", size=image_size, pad_val=dict(img=(128.0, 128.0, 128.0), masks=0, seg=255)),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(1333, 800), keep_ratio=True),
    dict(type="LoadCocoPanoptic"),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    sampler=dict(type="InfiniteSampler", shuffle=True),
    # pictures without things have stuff to learn from
    dataset=dict(pipeline=train_pipeline, filter_cfg=dict(filter_empty_gt=False, min_size=32)),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type="CocoPanopticQuality",
        ann_file="data/coco/annotations/panoptic_val2017.json",
        seg_prefix="data/coco/annotations/panoptic_val2017/",
    ),
    dict(
        type="CocoMetric",
        ann_file="data/coco/annotations/instances_val2017.json",
        metric=["bbox", "segm"],
    ),
]
test_evaluator = val_evaluator
