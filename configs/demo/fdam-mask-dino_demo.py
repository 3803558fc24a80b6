_base_ = "./mask-dino_demo.py"
model = dict(panoptic_head=dict(pixel_decoder=dict(fdam=dict(att_inv=True, freq_scale=True))))
