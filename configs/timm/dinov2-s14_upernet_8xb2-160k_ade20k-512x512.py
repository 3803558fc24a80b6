# A plain ViT: one map after every third block, all of one size, so a pyramid neck. The input is
# padded to whole patches of 14.
_base_ = "../_base_/upernet_vit_ade20k.py"
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMTimmBackbone",
        model_name="vit_small_patch14_dinov2.lvd142m",
        out_indices=(2, 5, 8, 11),
        pretrained=True,  # timm downloads the weights when a training starts
        drop_path_rate=0.1,
    ),
    neck=dict(_delete_=True, type="ViTPyramid", embed_dims=384, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384, in_index=2),
)
train_dataloader = dict(batch_size=2)
