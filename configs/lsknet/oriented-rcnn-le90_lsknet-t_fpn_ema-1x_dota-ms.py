# Evaluates, and saves as the model, the running average of the weights.
_base_ = "./oriented-rcnn-le90_lsknet-t_fpn_1x_dota-ms.py"
custom_hooks = [dict(type="EMAHook", momentum=2e-4)]
