# UperNet on a plain ViT of timm: one map after every third block, all of one size, so a pyramid
# neck. A config that inherits it names the model and its channels.
_base_ = "./upernet_vit_ade20k.py"
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="FDAMTimmBackbone",
        out_indices=(2, 5, 8, 11),
        pretrained=True,  # timm downloads the weights when a training starts
        drop_path_rate=0.1,
    ),
    neck=dict(_delete_=True, type="ViTPyramid", embed_dims=768, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_index=2),
)
train_dataloader = dict(batch_size=2)
