# DeiT-III-B with FDAM under DeepSpeed's ZeRO-2 (gradients and optimizer in parts on each process),
# in bf16 by autocast and with activation checkpointing: see docs/scaling.md.
_base_ = "./fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"
runner_type = "FlexibleRunner"
strategy = dict(
    type="DeepSpeedStrategy",
    # autocast keeps weights and FDAM's layers in float32; DeepSpeed's bf16 would convert them
    config=dict(torch_autocast=dict(enabled=True, dtype="bfloat16")),
    train_micro_batch_size_per_gpu=4,
    zero_optimization=dict(stage=2),
)
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(type="DeepSpeedOptimWrapper")
