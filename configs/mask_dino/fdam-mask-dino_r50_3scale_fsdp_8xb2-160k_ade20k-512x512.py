# Mask DINO with FDAM in parts on each process (FSDP2), see docs/scaling.md: the layers of encoder
# and decoder, and the bottlenecks of the backbone, are gathered one at a time. In float32, as
# published; the layers of the encoder are computed a second time in backward.
_base_ = "./fdam-mask-dino_r50_3scale_8xb2-160k_ade20k-512x512.py"
runner_type = "FDAMShardedRunner"
model = dict(panoptic_head=dict(pixel_decoder=dict(encoder=dict(with_cp=True))))
