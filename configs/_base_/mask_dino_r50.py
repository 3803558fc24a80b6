# Mask DINO, ResNet-50, 4 levels, and its optimizer: what all its configs share.
_base_ = ["mmdet::_base_/default_runtime.py", "./fdam_mm.py"]
model = dict(
    type="MaskDINO",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=True,
        mask_pad_value=0,
    ),
    backbone=dict(
        type="ResNet",
        depth=50,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    panoptic_head=dict(
        type="MaskDINOHead",
        num_things_classes=80,
        num_stuff_classes=0,
        num_queries=300,
        init_box="mask2box",
        pixel_decoder=dict(
            type="MaskDINOPixelDecoder",
            in_channels=[256, 512, 1024, 2048],
            num_levels=4,
            num_encoder_inputs=3,
            fine_first=True,
            encoder=dict(num_layers=6, feedforward_channels=2048, with_cp=False),
        ),
        decoder=dict(num_layers=9, feedforward_channels=2048),
    ),
    test_cfg=dict(instance_on=True, panoptic_on=False, semantic_on=False, max_per_image=100),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    # No weight decay on norms and embeddings; the level embedding is decayed.
    constructor="FDAMOptimWrapperConstructor",
    paramwise_cfg=dict(
        decay_biases=True,
        custom_keys={
            "backbone": dict(lr_mult=0.1),
            "label_embed": dict(decay_mult=0.0),
            "query_feat": dict(decay_mult=0.0),
            "query_box": dict(decay_mult=0.0),
            "relative_position_bias_table": dict(lr_mult=0.1, decay_mult=0.0),
        },
    ),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=368750, val_interval=5000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = dict(
    type="MultiStepLR", begin=0, end=368750, by_epoch=False, milestones=[327778, 355092], gamma=0.1
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000, max_keep_ckpts=3, save_last=True),
)
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(enable=False, base_batch_size=16)
