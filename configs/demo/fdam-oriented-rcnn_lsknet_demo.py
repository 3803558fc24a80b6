_base_ = "./oriented-rcnn_lsknet_demo.py"
model = dict(backbone=dict(fdam=dict(freq_scale=True)))
