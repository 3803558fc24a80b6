# The official maskdino_R50_bs16_50ep_3s: three levels, coarsest first, and slower, tighter boxes.
_base_ = "./mask-dino_r50_4scale_8xb2-lsj-50e_coco.py"
model = dict(
    panoptic_head=dict(
        init_box="bitmask",
        pixel_decoder=dict(
            num_levels=3, fine_first=False, encoder=dict(feedforward_channels=1024)
        ),
    )
)
