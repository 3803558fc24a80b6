# The official Swin-L model: all four maps of the backbone and an extra one are levels.
_base_ = "./mask-dino_r50_4scale_8xb2-lsj-50e_coco.py"
checkpoint = (
    "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
    "swin_large_patch4_window12_384_22k.pth"
)
model = dict(
    backbone=dict(
        _delete_=True,
        type="SwinTransformer",
        pretrain_img_size=384,
        embed_dims=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        window_size=12,
        drop_path_rate=0.3,
        convert_weights=True,
        init_cfg=dict(type="Pretrained", checkpoint=checkpoint),
    ),
    panoptic_head=dict(
        init_box="bitmask",
        pixel_decoder=dict(in_channels=[192, 384, 768, 1536], num_levels=5, num_encoder_inputs=4),
    ),
)
train_dataloader = dict(batch_size=1)
