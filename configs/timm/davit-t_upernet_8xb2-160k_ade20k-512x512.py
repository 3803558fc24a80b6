_base_ = "../_base_/upernet_timm_ade20k.py"
model = dict(backbone=dict(model_name="davit_tiny.msft_in1k"))
