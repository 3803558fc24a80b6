# The demo's small model on LoveDA pictures, crops of 256: a real job for two CPU cores.
#   tools/dist_train.sh configs/demo/fdam-vit_loveda-256x256.py 2 --cfg-options data_root=FOLDER
# FOLDER holds img_dir/*.png and ann_dir/*.png, without sub-folders; it trains and evaluates on the
# same pictures, so its mIoU says that learning works and nothing about other pictures.
_base_ = "./fdam-vit_demo.py"
data_root = "data/loveDA_demo"
crop_size = (256, 256)
norm_cfg = dict(type="GN", num_groups=8)  # the same on one process and on several

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=256),
    neck=dict(norm_cfg=dict(_delete_=True, **norm_cfg)),
    decode_head=dict(num_classes=7, norm_cfg=dict(_delete_=True, **norm_cfg)),
    auxiliary_head=dict(num_classes=7, norm_cfg=dict(_delete_=True, **norm_cfg)),
    test_cfg=dict(_delete_=True, mode="slide", crop_size=crop_size, stride=(192, 192)),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
dataset = dict(
    _delete_=True,
    type="LoveDADataset",
    data_root=data_root,
    data_prefix=dict(img_path="img_dir", seg_map_path="ann_dir"),
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(batch_size=1, dataset=dict(pipeline={{_base_.test_pipeline}}, **dataset))
test_dataloader = val_dataloader
