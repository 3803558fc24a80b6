_base_ = "./segformer_demo.py"
model = dict(backbone=dict(fdam=dict(att_inv=True, freq_scale=True)))
