# UperNet on a hierarchical backbone of timm, ADE20K 512x512, 160k iterations: mmseg's recipe for
# Swin. A config that inherits it names the model and its channels.
_base_ = [
    "mmseg::_base_/models/upernet_swin.py",
    "mmseg::_base_/datasets/ade20k.py",
    "mmseg::_base_/schedules/schedule_160k.py",
    "mmseg::_base_/default_runtime.py",
    "./fdam_mm.py",
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type="FDAMTimmBackbone",
        out_indices=(0, 1, 2, 3),
        out_norm=True,
        pretrained=True,  # timm downloads the weights when a training starts
        drop_path_rate=0.3,
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768], num_classes=150),
    auxiliary_head=dict(in_channels=384, num_classes=150),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    # no weight decay on 1-D parameters and positions
    constructor="FDAMOptimWrapperConstructor",
    paramwise_cfg=dict(custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0))),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=160000),
]
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader
