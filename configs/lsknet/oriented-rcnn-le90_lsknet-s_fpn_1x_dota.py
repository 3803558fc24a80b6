# Oriented R-CNN with LSKNet-S on DOTA-v1.0, single scale (1024 crops with 200 overlap), for 8 GPUs
# with one picture each.
_base_ = [
    "mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py",
    "../_base_/lsknet_s.py",
]
model = _base_.lsknet_s
# Storage tanks and roundabouts (9, 11) have no angle: pictures with one turn by right angles.
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type="RandomRotate", prob=0.5, angle_range=180, rect_obj_labels=[9, 11]),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
optim_wrapper = _base_.lsknet_s_optim_wrapper
