# A deep, narrow ViT on the generated textures: 12 layers, one map, so that what vanishes on the
# way is gone. All runs of the study start here; the runner sets steps, seeds and folders.
_base_ = "../../../configs/demo/vit_demo.py"
# A patch of 4 is less than a period of the coarse stripes: with 8 no variant saw them.
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        img_size=64,
        patch_size=4,
        num_layers=12,
        embed_dims=96,
        out_indices=(11,),
        layer_scale_init=None,
        drop_path_rate=0.0,
    ),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=96,
        channels=96,
        num_convs=1,
        concat_input=False,
        num_classes=7,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
    ),
    auxiliary_head=None,
)
in_this_process = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(**in_this_process)
val_dataloader = dict(batch_size=1, **in_this_process)
test_dataloader = val_dataloader
