# Multi-scale: crops of the pictures at 0.5, 1 and 1.5 times their size, and random rotation, as in
# mmrotate's dota_ms.py.
_base_ = "./oriented-rcnn-le90_lsknet-t_fpn_3x_dota.py"
data_root = "data/split_ms_dota/"
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type="RandomRotate", prob=0.5, angle_range=180, rect_obj_labels=[9, 11]),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
