# A small LSKNet with Oriented R-CNN, from scratch, on the generated demo set in DOTA's layout
# (tools/make_demo_set.py data/demo_dota --layout dota); minutes on two CPU cores.
_base_ = "../lsknet/oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py"
classes = (
    "plane",
    "small-vehicle",
    "large-vehicle",
    "ship",
    "tennis-court",
    "storage-tank",
)
palette = [  # tuples: the visualiser takes no lists
    (165, 42, 42),
    (138, 43, 226),
    (255, 128, 0),
    (255, 0, 255),
    (0, 255, 255),
    (0, 51, 153),
]
data_root = "data/demo_dota"
demo_set = dict(layout="dota", train=400)  # options of tools/make_demo_set.py
max_iters = 600

assigner = dict(pos_iou_thr=0.5, neg_iou_thr=0.3)
proposals = dict(nms_pre=400, max_per_img=200)
model = dict(
    backbone=dict(
        embed_dims=[32, 48, 64, 96],
        depths=[1, 1, 2, 1],
        mlp_ratios=[4, 4, 4, 4],
        drop_rate=0.0,
        drop_path_rate=0.0,
        norm_cfg=dict(_delete_=True, type="GN", num_groups=8),  # with any number of processes
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 48, 64, 96], out_channels=64, num_outs=4),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[3], strides=[4, 8, 16, 32]),  # 12 to 96 pixels
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, featmap_strides=[4, 8, 16], finest_scale=28),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=len(classes)),
    ),
    train_cfg=dict(
        rpn=dict(assigner=assigner),
        rpn_proposal=proposals,
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=proposals, rcnn=dict(max_per_img=100)),
)

resize = dict(type="mmdet.Resize", scale=(192, 192), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:-2], _base_.train_pipeline[-1]]  # no rotation
train_pipeline[3] = resize
val_pipeline = [*_base_.val_pipeline]
val_pipeline[1] = resize
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = resize
dataset = dict(data_root=data_root, metainfo=dict(classes=classes, palette=palette))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True),
    dataset=dict(
        ann_file="train/annfiles/",
        data_prefix=dict(img_path="train/images/"),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        ann_file="val/annfiles/",
        data_prefix=dict(img_path="val/images/"),
        pipeline=val_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader

train_cfg = dict(
    _delete_=True, type="IterBasedTrainLoop", max_iters=max_iters, val_interval=max_iters // 4
)
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=5))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=max_iters, eta_min=0.0),
]
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=max_iters // 4, max_keep_ckpts=2),
)
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
visualizer = dict(type="RotatedBoxVisualizer", scale=3)
