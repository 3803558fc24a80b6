# Loading the data and measuring PQ need panopticapi: docs/mask_dino.md.
_base_ = ["mmdet::_base_/datasets/coco_panoptic.py", "../_base_/mask_dino_r50.py"]
image_size = (1024, 1024)
model = dict(
    data_preprocessor=dict(pad_seg=True, seg_pad_value=255),
    panoptic_head=dict(num_stuff_classes=53, init_box=None),
    test_cfg=dict(panoptic_on=True, object_mask_thr=0.25, iou_thr=0.8),
)
train_pipeline = [
    dict(type="LoadImageFromFile", to_float32=True),
    dict(type="LoadPanopticAnnotations", with_bbox=True, with_mask=True, with_seg=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomResize", scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_size=image_size,
        crop_type="absolute",
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type="Pad", size=image_size, pad_val=dict(img=(128.0, 128.0, 128.0), masks=0, seg=255)),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_evaluator = [
    {{_base_.val_evaluator}},
    dict(
        type="CocoMetric",
        ann_file="data/coco/annotations/instances_val2017.json",
        metric=["bbox", "segm"],
    ),
]
test_evaluator = val_evaluator
