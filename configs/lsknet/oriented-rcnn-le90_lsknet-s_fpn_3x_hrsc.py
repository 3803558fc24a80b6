# HRSC2016, one class, in the authors' setting: 800 x 800, random rotation, learning rate 4e-4 at
# batch 8.
_base_ = "./oriented-rcnn-le90_lsknet-s_fpn_3x_dota.py"
model = dict(roi_head=dict(bbox_head=dict(num_classes=1)))

optim_wrapper = dict(optimizer=dict(lr=4e-4))
dataset_type = "HRSCDataset"
data_root = "data/hrsc/"
resize = dict(type="mmdet.Resize", scale=(800, 800), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline]
train_pipeline[3] = resize
val_pipeline = [*_base_.val_pipeline]
val_pipeline[1] = resize
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = resize
dataset = dict(
    _delete_=True,
    type=dataset_type,
    data_root=data_root,
    data_prefix=dict(sub_data_root="FullDataSet/"),
    backend_args=_base_.backend_args,
)
train_dataloader = dict(
    dataset=dict(
        **dataset,
        ann_file="ImageSets/trainval.txt",
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(**dataset, ann_file="ImageSets/test.txt", test_mode=True, pipeline=val_pipeline)
)
test_dataloader = val_dataloader
