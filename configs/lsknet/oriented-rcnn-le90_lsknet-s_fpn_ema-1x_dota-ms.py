# Evaluates, and saves as the model, the running average of the weights, as the authors average:
# over more and more steps, with a time constant of 12 epochs of theirs.
_base_ = "./oriented-rcnn-le90_lsknet-s_fpn_1x_dota-ms.py"
custom_hooks = [dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=2e-4, gamma=12 * 8541)]
