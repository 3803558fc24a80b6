# A plain ViT: one map after every third block, all of one size, so a pyramid neck. Its positions
# are rotations, for a picture of any size; Meta's weights have a licence of their own.
_base_ = "../_base_/upernet_vit_ade20k.py"
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMTimmBackbone",
        model_name="vit_base_patch16_dinov3.lvd1689m",
        out_indices=(2, 5, 8, 11),
        pretrained=True,  # timm downloads the weights when a training starts
        drop_path_rate=0.1,
    ),
    neck=dict(_delete_=True, type="ViTPyramid", embed_dims=768, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_index=2),
)
train_dataloader = dict(batch_size=2)
