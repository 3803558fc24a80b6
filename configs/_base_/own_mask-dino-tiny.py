# A small Mask DINO for own objects with masks, from drawn weights; `fdam new` sets the rest.
_base_ = ["./own_mask-dino-r50.py", "./mask_dino_tiny.py"]
model = _base_.mask_dino_tiny
optim_wrapper = _base_.mask_dino_tiny_optim_wrapper
