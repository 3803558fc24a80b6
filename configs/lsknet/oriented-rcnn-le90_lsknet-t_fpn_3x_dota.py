_base_ = "./oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py"
train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type="LinearLR", start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=36, by_epoch=True, milestones=[24, 33], gamma=0.1),
]
