# The official semantic model on ADE20K: learned queries, classes with a softmax.
_base_ = ["mmdet::_base_/datasets/ade20k_semantic.py", "../_base_/mask_dino_r50.py"]
image_size = (512, 512)
model = dict(
    data_preprocessor=dict(pad_mask=False, pad_seg=True, seg_pad_value=255),
    panoptic_head=dict(
        num_things_classes=0,
        num_stuff_classes=150,
        num_queries=100,
        two_stage=False,
        init_box=None,
        softmax=True,
        pixel_decoder=dict(
            num_levels=3, fine_first=False, encoder=dict(feedforward_channels=1024)
        ),
    ),
    test_cfg=dict(instance_on=False, semantic_on=True),
)
train_pipeline = [
    dict(type="LoadImageFromFile", to_float32=True),
    dict(
        type="LoadAnnotations",
        with_bbox=False,
        with_label=False,
        with_mask=False,
        with_seg=True,
        reduce_zero_label=True,
    ),
    dict(
        type="RandomChoiceResize",
        scales=[(2048, int(512 * 0.1 * step)) for step in range(5, 21)],
        keep_ratio=True,
    ),
    dict(type="RandomCrop", crop_size=image_size, crop_type="absolute", allow_negative_crop=True),
    dict(type="PhotoMetricDistortion"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Pad", size=image_size, pad_val=dict(img=(128.0, 128.0, 128.0), seg=255)),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="ADE20KSegDataset",
        data_root="data/ADEChallengeData2016/",
        data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
        pipeline=train_pipeline,
    ),
)
train_cfg = dict(max_iters=160000)
param_scheduler = dict(end=160000, milestones=[135000, 150000])
