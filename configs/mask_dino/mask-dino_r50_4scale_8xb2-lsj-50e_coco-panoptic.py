# The data and PQ work without panopticapi: fdam_mm.panoptic.
_base_ = ["../_base_/coco_panoptic.py", "../_base_/mask_dino_r50.py"]
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
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
