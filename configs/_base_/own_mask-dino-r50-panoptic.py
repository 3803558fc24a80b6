# Mask DINO for own panoptic segments, as configs/mask_dino/; `fdam new` sets iterations and
# pictures. torchvision's ImageNet weights of the ResNet-50 are fetched where a training starts.
_base_ = "../mask_dino/mask-dino_r50_4scale_8xb2-lsj-50e_coco-panoptic.py"
val_evaluator = dict(_delete_=True, type="CocoPanopticQuality")
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(save_best="coco_panoptic/PQ", rule="greater", max_keep_ckpts=2),
)
