# Oriented R-CNN with LSKNet-S on DOTA-v1.0, single scale (1024 crops with 200 overlap), for 8 GPUs
# with one picture each.
# The ImageNet weights are to be fetched by hand from the authors' repository, which allows
# non-commercial use: https://github.com/zcablii/LSKNet
_base_ = [
    "mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py",
    "../_base_/fdam_mm.py",
]
model = dict(
    backbone=dict(
        _delete_=True,
        type="LSKNet",
        embed_dims=[64, 128, 320, 512],
        depths=[2, 2, 4, 2],
        drop_rate=0.1,
        drop_path_rate=0.1,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/lsk_s_backbone.pth"),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
# Storage tanks and roundabouts (9, 11) have no angle: pictures with one turn by right angles.
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type="RandomRotate", prob=0.5, angle_range=180, rect_obj_labels=[9, 11]),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
# unlike the published recipe: no weight decay on any 1-D parameter
optim_wrapper = dict(
    constructor="FDAMOptimWrapperConstructor",
    optimizer=dict(_delete_=True, type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
)
