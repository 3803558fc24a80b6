# UperNet on any backbone of timm for own data; `fdam new` names the model and its channels.
_base_ = ["mmseg::_base_/models/upernet_swin.py", "./own_semantic.py"]
model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type="FDAMTimmBackbone"),
)
