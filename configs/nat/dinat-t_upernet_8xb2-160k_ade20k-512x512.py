_base_ = "./nat-t_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(
        dilations=((1, 16), (1, 4, 1, 8), (1, 2, 1, 3, 1, 4), (1, 2)),
        init_cfg=dict(checkpoint="pretrain/dinat_tiny.pth"),
    )
)
