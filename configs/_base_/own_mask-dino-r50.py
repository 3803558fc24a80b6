# Mask DINO for own objects with masks, as configs/mask_dino/; `fdam new` sets iterations and
# pictures. torchvision's ImageNet weights of the ResNet-50 are fetched where a training starts.
_base_ = "../mask_dino/mask-dino_r50_4scale_8xb2-lsj-12e_coco.py"
val_evaluator = dict(_delete_=True, type="CocoMetric", metric=["bbox", "segm"])
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(save_best="coco/segm_mAP", max_keep_ckpts=2)
)
