# UperNet on a hierarchical backbone of timm, mmseg's recipe for Swin. A config that inherits it
# names the model and its channels.
_base_ = [
    "mmseg::_base_/models/upernet_swin.py",
    "./adamw_160k_ade20k.py",
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
    paramwise_cfg=dict(custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0)))
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader
