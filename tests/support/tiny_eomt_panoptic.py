# A panoptic EoMT small enough for tests. Data: write_demo_set(root, 8, 4, size=64, layout="coco").
_base_ = "../../configs/demo/mask-dino_demo.py"
classes = dict(num_things_classes=6, num_stuff_classes=7)
model = dict(
    _delete_=True,
    type="MaskFormer",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_size_divisor=16, pad_mask=True, mask_pad_value=0, pad_seg=True,
        seg_pad_value=255,
    ),
    backbone=dict(
        type="EoMT", model_name="vit_small_patch14_reg4_dinov2", patch_size=16, depth=2,
        embed_dim=32, num_heads=2, img_size=64, init_values=0.1, num_classes=13, num_queries=20,
        num_blocks=1, fdam=dict(att_inv=True, freq_scale=True),
    ),
    panoptic_head=dict(type="EoMTHead", num_queries=20, num_points=64, **classes),
    panoptic_fusion_head=dict(
        type="MaskFormerFusionHead", loss_panoptic=None, init_cfg=None, **classes
    ),
    test_cfg=dict(
        panoptic_on=True, semantic_on=False, instance_on=True, max_per_image=10,
        object_mask_thr=0.0, iou_thr=0.0, filter_low_score=True,
    ),
)  # fmt: skip
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(**loader)
val_dataloader = dict(**loader)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type="CocoPanopticQuality",
        ann_file=_base_.data_root + "annotations/panoptic_val2017.json",
        seg_prefix=_base_.data_root + "annotations/panoptic_val2017/",
    )
]
test_evaluator = val_evaluator
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=4))
