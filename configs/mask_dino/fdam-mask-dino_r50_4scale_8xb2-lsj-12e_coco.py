# Our choice, as the paper gives no multiplier for Mask DINO: FreqScale learns at the base rate.
_base_ = "./mask-dino_r50_4scale_8xb2-lsj-12e_coco.py"
model = dict(panoptic_head=dict(pixel_decoder=dict(fdam=dict(att_inv=True, freq_scale=True))))
