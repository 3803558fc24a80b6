# LSKNet-S and its optimizer, for any detector with an FPN: model = _base_.lsknet_s. The ImageNet
# weights are to be fetched by hand from the authors' repository, which allows non-commercial use:
# https://github.com/zcablii/LSKNet
_base_ = "./fdam_mm.py"
lsknet_s = dict(
    backbone=dict(
        _delete_=True,
        type="LSKNet",
        embed_dims=[64, 128, 320, 512],
        depths=[2, 2, 4, 2],
        drop_rate=0.1,
        drop_path_rate=0.1,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        init_cfg=dict(type="Pretrained", checkpoint="pretrain/lsk_s_backbone.pth"),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
# unlike the published recipe: no weight decay on any 1-D parameter
lsknet_s_optim_wrapper = dict(
    constructor="FDAMOptimWrapperConstructor",
    optimizer=dict(_delete_=True, type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
