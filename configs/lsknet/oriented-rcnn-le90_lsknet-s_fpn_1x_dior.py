# DIOR-R, 20 classes, with the data of mmrotate's dior.py.
_base_ = "./oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py"
model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))

dataset_type = "DIORDataset"
data_root = "data/DIOR/"
resize = dict(type="mmdet.Resize", scale=(800, 800), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:-2], _base_.train_pipeline[-1]]  # no rotation
train_pipeline[3] = resize
val_pipeline = [*_base_.val_pipeline]
val_pipeline[1] = resize
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = resize
train_dataset = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file="ImageSets/Main/train.txt",
    data_prefix=dict(img_path="JPEGImages-trainval"),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        ignore_keys=["DATASET_TYPE"],
        datasets=[train_dataset, dict(train_dataset, ann_file="ImageSets/Main/val.txt")],
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file="ImageSets/Main/test.txt",
        data_prefix=dict(img_path="JPEGImages-test"),
        test_mode=True,
        pipeline=val_pipeline,
        backend_args=_base_.backend_args,
    )
)
test_dataloader = val_dataloader
