# Oriented R-CNN with LSKNet-S for own rotated boxes, as configs/lsknet/, on the tiles that
# `fdam new` cuts. The ImageNet weights are to be fetched by hand from the authors' repository,
# which allows non-commercial use: https://github.com/zcablii/LSKNet
_base_ = "../lsknet/oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py"
whole = dict(type="mmdet.Resize", scale_factor=1.0, keep_ratio=True)  # as cut
train_pipeline = [*_base_.train_pipeline]
train_pipeline[3] = whole
train_pipeline[5] = dict(type="RandomRotate", prob=0.5, angle_range=180)
val_pipeline = [*_base_.val_pipeline]
val_pipeline[1] = whole
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = whole
train_dataloader = dict(
    sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="MergedDOTAMetric")  # on whole pictures
test_evaluator = val_evaluator
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=1000, val_interval=100)
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2, save_best="dota/mAP"),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type="RotatedBoxVisualizer")
