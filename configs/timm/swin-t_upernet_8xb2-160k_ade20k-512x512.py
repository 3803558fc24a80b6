_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(backbone=dict(model_name="swin_tiny_patch4_window7_224.ms_in1k"))
