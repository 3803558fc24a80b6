# Our choice, as the paper gives no multiplier for Mask DINO: FreqScale learns at the base rate.
_base_ = "./mask-dino_swin-l-p4-w12-384-in21k_5scale_16xb1-lsj-50e_coco.py"
model = dict(panoptic_head=dict(pixel_decoder=dict(fdam=dict(att_inv=True, freq_scale=True))))
