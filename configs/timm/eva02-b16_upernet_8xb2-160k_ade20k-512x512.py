# EVA-02-B from masked image modelling; timm resamples its patches of 14 to 16, as the authors do
# for segmentation, and its positions to crops of 512.
_base_ = "./dinov3-b16_upernet_8xb2-160k_ade20k-512x512.py"
model = dict(
    backbone=dict(model_name="eva02_base_patch14_224.mim_in22k", patch_size=16, img_size=512)
)
