# EoMT's recipe (arXiv 2503.19108): layer-wise decay, new parts warm up before the pretrained ViT,
# then both fall to 0; mixed precision. Unlike the authors', no weight decay on 1-D parameters.
_base_ = "./fdam_mm.py"
optim_wrapper = dict(
    type="AmpOptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    constructor="FDAMOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay=0.8, num_layers=12, layer_rule="eomt"),
)
param_scheduler = dict(type="TwoStageWarmupPolyLR", warmup=(500, 1000), power=0.9, end=40000)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=40000, val_interval=4000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(enable=False, base_batch_size=16)
