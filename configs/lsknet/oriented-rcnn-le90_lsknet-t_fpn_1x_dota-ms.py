# Multi-scale: crops of the pictures at 0.5, 1 and 1.5 times their size.
_base_ = "./oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py"
data_root = "data/split_ms_dota/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
