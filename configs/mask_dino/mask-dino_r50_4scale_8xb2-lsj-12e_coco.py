# 12 epochs: the steps are those of 50 epochs in proportion.
_base_ = "./mask-dino_r50_4scale_8xb2-lsj-50e_coco.py"
train_cfg = dict(max_iters=88500)
param_scheduler = dict(end=88500, milestones=[78667, 85222])
