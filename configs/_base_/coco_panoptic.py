# mmdet's COCO panoptic with pictures of stuff alone, PQ without panopticapi, and AP.
# A config that inherits it names train_pipeline, and the scale of test_pipeline where another.
_base_ = "mmdet::_base_/datasets/coco_panoptic.py"
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
    dataset=dict(filter_cfg=dict(filter_empty_gt=False, min_size=32)),
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
