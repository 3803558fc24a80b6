_base_ = ["mmdet::_base_/datasets/coco_instance.py", "../_base_/mask_dino_r50.py"]
image_size = (1024, 1024)
train_pipeline = [
    dict(type="LoadImageFromFile", to_float32=True),
    # Polygons are drawn after all resizing, which keeps their edges; RLEs are decoded.
    dict(type="LoadInstances"),
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
    dict(type="Pad", size=image_size, pad_val=dict(img=(128.0, 128.0, 128.0), masks=0)),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
