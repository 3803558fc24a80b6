# A box detector of mmdet small enough for tests. Data: write_demo_set(root, 8, 4,
# size=64, layout="coco").
_base_ = "../../configs/demo/mask-dino_demo.py"
anchors = dict(
    type="AnchorGenerator", octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[8, 16]
)
coder = dict(type="DeltaXYWHBBoxCoder")
model = dict(
    _delete_=True,
    type="RetinaNet",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[127] * 3, std=[60] * 3, pad_size_divisor=32
    ),
    backbone=dict(
        type="ResNet", depth=18, base_channels=8, num_stages=3, strides=(1, 2, 2),
        dilations=(1, 1, 1), out_indices=(1, 2), norm_cfg=dict(type="GN", num_groups=4),
    ),
    neck=dict(type="FPN", in_channels=[16, 32], out_channels=16, num_outs=2),
    bbox_head=dict(
        type="RetinaHead", num_classes=6, in_channels=16, stacked_convs=1, feat_channels=16,
        anchor_generator=anchors, bbox_coder=coder,
    ),
    train_cfg=dict(
        assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
        sampler=dict(type="PseudoSampler"),
        allowed_border=-1,
        pos_weight=-1,
    ),
    test_cfg=dict(
        nms_pre=200, min_bbox_size=0, score_thr=0.0, max_per_img=50,
        nms=dict(type="nms", iou_threshold=0.5),
    ),
)  # fmt: skip
load = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(96, 96), keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
]
pack = dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape",
                                             "scale_factor"))  # fmt: skip
dataset = dict(
    _delete_=True,
    type="CocoDataset",
    data_root=_base_.data_root,
    metainfo=dict(classes=_base_.thing_classes),
    ann_file="annotations/instances_val2017.json",
    data_prefix=dict(img="val2017/"),
    pipeline=[*load, pack],
    test_mode=True,
)
train_dataloader = None
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type="CocoMetric",
    ann_file=_base_.data_root + "annotations/instances_val2017.json",
    metric="bbox",
)
test_evaluator = val_evaluator
train_cfg = None
optim_wrapper = None
param_scheduler = None
visualizer = dict(_delete_=True, type="DetLocalVisualizer", vis_backends=[])
