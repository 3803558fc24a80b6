"""Settings that a training refuses: --cfg-options of every kind."""

from pathlib import Path

import pytest
from support.bad_inputs import Bad, assert_refused, name_of, run_here
from support.tools import TINY

# KEY=VALUE, and what the line says of it.
TYPES = [
    Bad("optim_wrapper.optimizer.type=AdmW", "is 'AdmW', which is unknown; did you mean AdamW"),
    Bad("model.decode_head.type=UPerHed", "model.decode_head.type: UPerHed .* mean UPerHead\\?"),
    Bad("model.backbone.type=NoX", "model.backbone.type: NoX is not in .*; is its module in cust"),
    Bad("model.neck.type=FPM", "model.neck.type: FPM is not in .*; did you mean FPN\\?"),
    Bad("model.decode_head.loss_decode.type=Cross", "loss_decode.type: Cross is not in"),
    Bad("model.decode_head.norm_cfg.type=XN", "model.decode_head: .*XN is no layer that is known"),
    Bad("model.data_preprocessor.type=x", "model.data_preprocessor.type: x is not in"),
    Bad("train_dataloader.sampler.type=Nope", "train_dataloader.sampler.type: Nope is not in"),
    Bad("train_dataloader.dataset.type=ADE", "train_dataloader.dataset.type: ADE is not in"),
    Bad(
        "train_dataloader.dataset.pipeline.0.type=Load", "dataset.pipeline.0.type: Load is not in"
    ),
    Bad("val_evaluator.type=IoU", "val_evaluator.type: IoU is not in"),
    Bad("visualizer.type=V", " visualizer.type: V is not in the mmseg::visualizer registry"),
    Bad("custom_hooks=[dict(type=Nah)]", "custom_hooks.0.type: Nah is not in"),
    Bad("train_cfg.type=X", "train_cfg.type: X is not in"),
    Bad("log_processor.type=y", "log_processor.type: y is not in"),
    Bad("default_scope=mmpre", "default_scope is 'mmpre', expected one of mmseg, mmdet, mmrotate"),
]
NAMES = [
    Bad(
        "model.backbone.embed_dim=3",
        "model.backbone.*: .* no argument 'embed_dim'; near it: embed_dims",
    ),
    Bad("model.backbone.fdam.att_in=True", "fdam has no setting \\['att_in'\\]; it has .*att_inv"),
    Bad("optim_wrapper.paramwise_cfg.layer_decy=1", "paramwise_cfg has no .*layer_decy.*; it has"),
    Bad("optim_wrapper.optimizer.lrr=3", "optim_wrapper.optimizer.lrr: .* did you mean lr\\?"),
    Bad("optim_wrapper.clip_grad=dict(max_nrm=1)", "clip_grad.max_nrm .* did you mean max_norm"),
    Bad("train_cfg.max_iter=3", "train_cfg.max_iter: .* did you mean max_iters\\?"),
    Bad("train_dataloader.batchsize=3", "train_dataloader.batchsize: .* unexpected"),
    Bad("param_scheduler=[dict(type=PolyLR,powr=2)]", "param_scheduler.0.powr: .* unexpected"),
    Bad(
        "max_iters=2", "max_iters .* does nothing; set train_cfg.max_iters, param_scheduler.1.end"
    ),
    Bad("crop_size=(64,64)", "crop_size is no setting of the config and does nothing"),
    Bad(
        "classes=[a,b]", "classes .* does nothing; set train_dataloader.dataset.metainfo.classes,"
    ),
    Bad("optim_wraper.type=X", "optim_wraper is no setting .*; did you mean optim_wrapper\\?"),
    Bad("launcher=pytorch", "launcher: tools/dist_train.sh and dist_test.sh set it"),
    Bad("train_cfg.max_iters.x=2", "train_cfg.max_iters is 1, which has no x; set it whole"),
    Bad("train_dataloader.dataset.pipeline.9.type=X", "pipeline is a list of 3, '9' is no index"),
    Bad("train_dataloader.dataset.pipeline.x=1", "pipeline is a list of 3, 'x' is no index"),
]
VALUES = [
    Bad("custom_hooks=[dict(type=EMAHook,momentum=7)]", "momentum.* must be in range .* got 7"),
    Bad(
        "model.decode_head.in_index=[0,1,2,9]", "in_index is \\[0, 1, 2, 9\\], expected .* 0 to 3"
    ),
    Bad("model.decode_head.in_channels=[32,32,32,48]", "48\\], expected \\[32, 32, 32, 32\\]"),
    Bad(
        "model.decode_head.in_channels=[1,2]",
        "decode_head.in_channels is .1, 2. and in_index is .* expected len.in_channels. ==",
    ),
    Bad("model.decode_head.channels=-1", "model.decode_head: .* negative dimension -1"),
    Bad("model.decode_head.num_classes=1", "num_classes is 1, the data has 7 .*out_channels=1"),
    Bad("model.decode_head.num_classes=9", "model.decode_head.num_classes is 9, the data has 7"),
    Bad(
        "model.backbone.num_heads=3", "model.backbone.*: embed_dims 32 is not a multiple of num_h"
    ),
    Bad("model.backbone.num_heads=0", "num_heads is 0, expected 1 or more"),
    Bad("model.backbone.patch_size=2.5", "model.backbone.*(patch_size is 2.5|float)"),
    Bad("model.backbone.embed_dims=a", "model.backbone.embed_dims is 'a', expected a whole numb"),
    Bad("model.data_preprocessor.size=a", "size is 'a', expected \\(height, width\\) in pixels"),
    Bad(
        "model.data_preprocessor.size=[9,0]", "size is \\[9, 0\\], expected \\(height, width\\) in"
    ),
    Bad("model.backbone.out_indices=[0,1,2,9]", "out_indices .* name blocks outside 0 .. 3"),
    Bad("model.backbone.drop_path_rate=2.0", "drop_path_rate is 2.0, expected a number from 0 to"),
    Bad("model.data_preprocessor.mean=[1,2]", "mean is \\[1, 2\\]: .* should have 1 or 3 values"),
    Bad("model.test_cfg.mode=hole", "model.test_cfg.mode is 'hole', expected 'whole' or 'slide'"),
    Bad("optim_wrapper=None", "tiny.py has no optim_wrapper; a run of it needs"),
    Bad(
        "optim_wrapper.optimizer=None", "optim_wrapper.optimizer is None, expected a dict such as"
    ),
    Bad("optim_wrapper.optimizer.weight_decay=-3", "optim_wrapper.optimizer.weight_decay is -3"),
    Bad("optim_wrapper.optimizer.lr=fast", "lr is 'fast', expected a number from 0"),
    Bad("optim_wrapper.optimizer.lr=-1", "lr is -1, expected a number from 0"),
    Bad("optim_wrapper.accumulative_counts=0", "optim_wrapper: .*accumulative_counts at least"),
    Bad("default_hooks.checkpoint.save_best=mIuO", "default_hooks.checkpoint: .* for key mIuO"),
    Bad(
        "default_hooks.checkpoint.save_bst=1", "checkpoint.save_bst is .*; did you mean save_best"
    ),
    Bad("default_hooks.checkpoint.interval=0", "checkpoint.interval is 0, expected .* from 1, or"),
    Bad("log_level=LOUD", "log_level is 'LOUD', expected DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    Bad("randomness.seed=a", "randomness.seed is 'a', expected a whole number from 0, or None"),
    Bad("resume=maybe", "resume is 'maybe', expected True, False or 'auto'"),
    Bad("auto_scale_lr=dict(enable=True,base_batch_size=a)", "base_batch_size is 'a', expected"),
    Bad("train_dataloader.batch_size=0", "batch_size is 0, expected a whole number from 1"),
    Bad(
        "train_dataloader.num_workers=two", "num_workers is 'two', expected a whole number from 0"
    ),
    Bad("train_dataloader.num_workers=-1", "num_workers is -1, expected a whole number from 0"),
    Bad(
        "train_dataloader.dataset.data_prefix.img_path=no", "train_dataloader.dataset: .*/data/no'"
    ),
    Bad("train_dataloader.dataset.metainfo.classes=(disc)", "train_dataloader.dataset: .*'disc'"),
    Bad("train_cfg.max_iters=ten", "train_cfg.max_iters is 'ten', expected a whole number from 1"),
    Bad(
        "train_cfg.val_interval=0", "train_cfg.val_interval is 0, expected a whole number from 1;"
    ),
    Bad(
        "val_evaluator.iou_metrics=[mIoX]", "iou_metrics is \\['mIoX'\\], expected some of .'mIoU"
    ),
    Bad("data_root=None", "--cfg-options data_root: expected a folder, found None"),
    Bad("data_root=5", "5 of the config's train_dataloader does not exist. Prepare the data, see"),
]
DICT, LIST = "expected a dict of its settings$", "expected a list of dicts$"
STRUCTURE = [
    Bad("model=5", f"model is 5, {DICT}"),
    Bad("model.backbone=5", f"model.backbone is 5, {DICT}"),
    Bad("model.backbone=None", f"model.backbone is None, {DICT}"),
    Bad("model.auxiliary_head=[FCNHead]", f"model.auxiliary_head is .'FCNHead'., {DICT}"),
    Bad("model.test_cfg=whole", f"model.test_cfg is 'whole', {DICT}"),
    Bad("train_dataloader=4", f"train_dataloader is 4, {DICT}"),
    Bad("train_dataloader.sampler=3", f"train_dataloader.sampler is 3, {DICT}"),
    Bad("train_dataloader.dataset=ADE", f"train_dataloader.dataset is 'ADE', {DICT}"),
    Bad("train_dataloader.dataset.pipeline=4", f"train_dataloader.dataset.pipeline is 4, {LIST}"),
    Bad("val_evaluator=mIoU", f"val_evaluator is 'mIoU', {DICT}"),
    Bad("custom_hooks=5", f"custom_hooks is 5, {LIST}"),
    Bad("custom_hooks=[EMAHook]", f"custom_hooks is .'EMAHook'., {LIST}"),
    Bad("param_scheduler=[4]", f"param_scheduler is .4., {LIST}"),
    Bad("default_hooks=4", f"default_hooks is 4, {DICT}"),
    Bad("default_hooks.finite=4", f"default_hooks.finite is 4, {DICT}"),
    Bad("env_cfg=4", f"env_cfg is 4, {DICT}"),
]


@pytest.mark.parametrize("row", TYPES + NAMES + VALUES + STRUCTURE, ids=name_of)
def test_settings(
    row: Bad,
    files: Path,
    quick_start: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [f"data_root={files / 'data'}", "train_cfg.max_iters=1", row.command]
    ended = run_here(["train.py", str(TINY), "--cfg-options", *options], monkeypatch, capsys)
    assert_refused(row, ended)
    assert not list(tmp_path.rglob("*.pth"))
