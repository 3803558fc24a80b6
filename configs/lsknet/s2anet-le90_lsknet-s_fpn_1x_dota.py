# S2ANet with LSKNet-S on DOTA-v1.0, single scale, for 8 GPUs with one picture each.
_base_ = [
    "mmrotate::s2anet/s2anet-le90_r50_fpn_1x_dota.py",
    "../_base_/lsknet_s.py",
]
model = _base_.lsknet_s
train_dataloader = dict(batch_size=1)
optim_wrapper = _base_.lsknet_s_optim_wrapper
