# The same backbone on CamVid at half size (240 x 180), tested against labels of 480 x 360.
_base_ = "./vit_textures.py"
data_root = "data/camvid"
side = 128
classes = ("sky", "building", "pole", "road", "pavement", "tree")
classes += ("sign", "fence", "car", "pedestrian", "bicyclist")
# Of the loss: median frequency over frequency, as SegNet has it; else thin things are not learned.
class_weight = [0.29, 0.25, 4.71, 0.25, 0.69, 0.41, 4.28, 3.24, 1.0, 7.29, 8.7]
palette = [[20 * number] * 3 for number in range(len(classes))]
half = dict(scale=(240, 180), keep_ratio=True)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=False),
    dict(type="RandomResize", ratio_range=(0.75, 1.5), **half),
    dict(type="RandomCrop", crop_size=(side, side), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", **half),
    dict(type="LoadAnnotations", reduce_zero_label=False),  # after it: labels keep their size
    dict(type="PackSegInputs"),
]
dataset = dict(data_root=data_root, reduce_zero_label=False)
dataset.update(metainfo=dict(classes=classes, palette=palette))
train_split = dict(img_path="images/train", seg_map_path="annotations/train")
val_split = dict(img_path="images/val", seg_map_path="annotations/val")
files = dict(img_suffix=".jpg", seg_map_suffix=".png")
train_set = dict(data_prefix=train_split, pipeline=train_pipeline, **files, **dataset)
val_set = dict(data_prefix=val_split, pipeline=test_pipeline, **files, **dataset)
train_dataloader = dict(dataset=train_set)
val_dataloader = dict(dataset=val_set)
test_dataloader = dict(dataset=val_set)
model = dict(
    data_preprocessor=dict(size=(side, side)),
    backbone=dict(img_size=side, patch_size=8),
    decode_head=dict(
        num_classes=len(classes),
        loss_decode=dict(type="CrossEntropyLoss", class_weight=class_weight),
    ),
)
