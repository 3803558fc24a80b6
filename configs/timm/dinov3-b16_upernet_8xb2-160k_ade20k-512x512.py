# Its positions are rotations, for a picture of any size; Meta's weights have a licence of their
# own.
_base_ = "../_base_/upernet_timm_vit_ade20k.py"
model = dict(backbone=dict(model_name="vit_base_patch16_dinov3.lvd1689m"))
