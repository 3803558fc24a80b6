# DeiT-III-B with FDAM, weights, gradients and optimizer in parts on each process (FSDP2), in bf16
# and with activation checkpointing: see docs/scaling.md. Blocks of the backbone, FDAM's layers in
# them, and convolutions of the head are gathered one at a time.
_base_ = "./fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"
runner_type = "FDAMShardedRunner"
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(type="BFloat16OptimWrapper")
