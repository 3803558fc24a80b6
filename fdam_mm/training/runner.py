"""mmengine's Runner with safe checkpoints, foreign layouts and gloo on CPUs."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_distributed, is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import RUNNERS, VISUALIZERS
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer
from torch import distributed, nn
from torch.utils.data import DataLoader

from fdam_mm.checkpoints import convert, load, load_state
from fdam_mm.checkpoints.finite import meant_infinities
from fdam_mm.checkpoints.fitting import Fit, warn_of_non_finite
from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.data.guards.building import naming_unreadable_sets
from fdam_mm.data.guards.samples import look_at_samples
from fdam_mm.data.guards.watching import plain_worker_errors, watch
from fdam_mm.files import full_disk_errors, write_atomically
from fdam_mm.toolkits.patches.mixed_sizes import predict_mixed_sizes
from fdam_mm.toolkits.patches.results_first import keep_results
from fdam_mm.toolkits.types import class_of, is_kind
from fdam_mm.visualization.colours import with_palette

from .atomic_vis import atomic_backends
from .checkpoint_hook import newest_of, safe_checkpoints
from .class_counts import ignored_labels, require_class_counts
from .config_errors import config_errors
from .fine_tuning import FineTuningHook, parts_to_train
from .finite import require_finite
from .history import BoundedHistoryHook
from .hooks import MeanLossHook
from .interrupting import InterruptHook, Signals
from .learning_rate import scale_to_batch
from .levels import check_levels_at_first_batch
from .optimizers import require_optimizer
from .parent import end_with_parent, end_workers_with_us
from .resumable import require_resumable
from .resuming import MissedValidationHook, ResumingHook
from .run_record import write_record
from .sole_training import sole_training
from .unwrapping import bare_model
from .waiting_gradients import WaitingGradientsHook, share_waiting_gradients
from .whole_labels import write_whole_labels


@RUNNERS.register_module()
class FDAMRunner(Runner):
    """The Runner of every tool. What it does differently:

    - Checkpoints are read without unpickling, unless the config says ``allow_pickle=True``.
    - Foreign layouts are converted, and a checkpoint that does not fit is refused when evaluating
      and resuming; as the start of a training (``load_from``) what fits is taken.
    - Without CUDA, ``torchrun`` processes talk through gloo and SyncBN becomes BN.
    - Checkpoints are written atomically, and saved by :class:`SafeCheckpointHook`.
    - Only one training at a time runs in a ``work_dir``; to resume it takes the newest checkpoint
      there that can be read. ``resume="auto"`` starts from ``load_from`` where there is none;
      with ``resume=True`` that is the checkpoint to resume.
    - Logged scalars are kept for as long as the log needs them.
    - Processes of ``torchrun`` end with it, dataloaders' workers with their process.
    - The logged training loss is the mean over processes.
    - Oriented detectors keep their boxes in float32 under autocast.
    - Heads whose number of classes is not the training data's are refused.
    - A few samples of each split are looked at before the start, and what is wrong with a picture
      or its labels is said with the file's name, from worker processes too.
    - Segmentors predict a batch of pictures of several sizes one by one.
    - Every class has a colour, and a test writes its results before a failed drawing ends it.
    - A resumed training is the uninterrupted one (:class:`ResumingHook`).
    - ``auto_scale_lr`` counts accumulated batches, and the processes of a resumed training.
    - ``fine_tuning=dict(also=...)`` trains FDAM and what ``also`` names, and writes them alone
      (:class:`FineTuningHook`).
    - A signal ends a training with a checkpoint (:class:`InterruptHook`).
    - A training that is no longer finite ends (:class:`FiniteHook`, which the config sets as
      ``default_hooks.finite``), and weights that are not finite are never saved.
    """

    _fit: Fit = "exact"
    fine_tuning: FineTuningHook | None = None

    def train(self) -> nn.Module:
        self._fit = "exact" if self._resume else "finetune"
        alone = sole_training(self.work_dir) if is_main_process() else nullcontext()
        with alone, full_disk_errors(self.work_dir), self._reading(), self.signals:
            self._write_config()
            self._write_record()
            return super().train()

    def val(self) -> dict[str, float]:
        with self._reading():
            return super().val()

    def test(self) -> dict[str, float]:
        with self._reading():
            return super().test()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with allowing_pickle(self.cfg.get("allow_pickle", False)), plain_worker_errors():
            yield

    def dump_config(self) -> None:
        """Called for tests too, whose settings must not replace those of the training there."""
        if not self._config_file().exists():
            self._write_config()

    @master_only
    def _write_config(self) -> None:
        write_atomically(self._config_file(), self.cfg.dump())

    @master_only
    def _write_record(self) -> None:
        write_record(self.log_dir)

    def _config_file(self) -> Path:
        return Path(self.work_dir) / Path(self.cfg.filename or f"{self.timestamp}.py").name

    def build_visualizer(
        self, visualizer: Visualizer | Mapping[str, Any] | None = None
    ) -> Visualizer:
        local = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")])
        visualizer = local if visualizer is None else visualizer
        if isinstance(visualizer, dict):
            visualizer = atomic_backends(visualizer)
            if _exists(visualizer):  # of an earlier run in this process: it would get our logs
                visualizer = {**visualizer, "name": f"{self.experiment_name}_{uuid.uuid4().hex}"}
        return super().build_visualizer(visualizer)

    def load_or_resume(self) -> None:
        search = self._resume == "auto" or (self._resume and self._load_from is None)
        if search and not self._has_loaded:
            found = newest_of(self)
            if found is None:
                self.logger.info(f"{self.work_dir} has no checkpoint yet: starts anew")
                self._resume, self._fit = False, "finetune"
            else:
                self.logger.info(f"resumes {found}")
                self._resume, self._load_from = True, found
        super().load_or_resume()

    def build_train_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        with config_errors("the config's train_dataloader or train_cfg", self.cfg):
            loop = super().build_train_loop(loop)
        metainfo = getattr(loop.dataloader.dataset, "metainfo", {})
        require_class_counts(bare_model(self.model), metainfo)
        return self._prepared(loop, "train")

    def build_val_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        with config_errors("the config's val_dataloader, val_evaluator or val_cfg", self.cfg):
            loop = super().build_val_loop(loop)
        return self._prepared(loop, "val")

    def build_test_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        with config_errors("the config's test_dataloader, test_evaluator or test_cfg", self.cfg):
            loop = super().build_test_loop(loop)
        keep_results(self.hooks)
        write_whole_labels(loop.evaluator)
        return self._prepared(loop, "test")

    def _prepared(self, loop: BaseLoop, split: str) -> BaseLoop:
        """A loop whose data names what is wrong with it, and whose classes all have colours."""
        watch(loop.dataloader.dataset, ignored_labels(bare_model(self.model)))
        look_at_samples(loop.dataloader.dataset, split)
        if meta := getattr(loop.dataloader.dataset, "metainfo", None):
            self.visualizer.dataset_meta = with_palette(meta)
        return loop

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        with config_errors("the config's optim_wrapper", self.cfg):
            require_optimizer(self.cfg.get("optim_wrapper"))
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        with config_errors("the config's param_scheduler", self.cfg):
            return super().build_param_scheduler(*args, **kwargs)

    def scale_lr(self, optim_wrapper: Any, auto_scale_lr: Any = None) -> None:
        with config_errors("the config's auto_scale_lr", self.cfg):
            scale_to_batch(self)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        if fn_name != "before_run":
            super().call_hook(fn_name, **kwargs)
            return
        with config_errors("the config's default_hooks or custom_hooks", self.cfg):
            super().call_hook(fn_name, **kwargs)

    def setup_env(self, env_cfg: Mapping[str, Any]) -> None:
        if self._launcher == "pytorch" and "TORCHELASTIC_RUN_ID" in os.environ:
            end_with_parent()
        if self._launcher == "pytorch" and not torch.cuda.is_available() and not is_distributed():
            distributed.init_process_group(backend="gloo")
        super().setup_env(env_cfg)

    def build_model(self, model: nn.Module | Mapping[str, Any]) -> nn.Module:
        with self._reading():
            model = super().build_model(model)
        if self.cfg.get("default_scope") == "mmrotate":
            from fdam_mm.oriented.float32_boxes import keep_boxes_in_float32  # needs mmdet

            keep_boxes_in_float32(bare_model(model))
        if (settings := self.cfg.get("fine_tuning")) is not None:
            self.fine_tuning = FineTuningHook(parts_to_train(settings))
            self.fine_tuning.freeze(self, bare_model(model))
        predict_mixed_sizes(bare_model(model))
        check_levels_at_first_batch(bare_model(model))
        self.meant_infinities = meant_infinities(bare_model(model).state_dict())
        return model

    def wrap_model(
        self, model_wrapper_cfg: Mapping[str, Any] | None, model: nn.Module
    ) -> nn.Module:
        on_cpu = self.distributed and not torch.cuda.is_available()
        if not on_cpu or model_wrapper_cfg is not None or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        self.logger.warning(
            "no CUDA: SyncBN becomes BN, with the statistics of each process alone"
        )
        return MMDistributedDataParallel(
            revert_sync_batchnorm(model),
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get("find_unused_parameters", False),
        )

    def register_hooks(
        self, default_hooks: Mapping[str, Any] | None = None, custom_hooks: Any = None
    ) -> None:
        default_hooks = dict(default_hooks or {})
        default_hooks["finite"] = {"type": "FiniteHook", **(default_hooks.get("finite") or {})}
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(MeanLossHook(), priority="HIGHEST")
        self.register_hook(BoundedHistoryHook())
        self.register_hook(ResumingHook())
        self.register_hook(MissedValidationHook())
        self.register_hook(WaitingGradientsHook())
        if self.fine_tuning is not None:
            self.register_hook(self.fine_tuning)
        self.signals = Signals()
        self.register_hook(InterruptHook(self.signals))

    def register_hook(self, hook: Hook | dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().register_hook(safe_checkpoints(hook), *args, **kwargs)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        with naming_unreadable_sets(dataloader):
            loader = Runner.build_dataloader(dataloader, *args, **kwargs)
        end_workers_with_us(loader)
        return loader

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """As mmengine's; all processes have to call it, the first one writes.

        Raises:
            DivergedError: The weights are not finite.
        """
        require_finite(self, f"{filename} is not saved")
        if kwargs.get("save_optimizer", True):
            share_waiting_gradients(self)
        super().save_checkpoint(out_dir, filename, *args, **kwargs)

    def load_checkpoint(self, filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Load a checkpoint into the model and return it, see the class.

        Raises:
            MissingFileError, CheckpointError: It cannot be used.
        """
        checkpoint = load(filename, allow_pickle=self.cfg.get("allow_pickle", False))
        # Runner.resume would execute this text as a config file, only to compare GPU counts.
        if isinstance(checkpoint.get("meta"), dict):
            checkpoint["meta"].pop("config", None)
        # Before the hooks: EMAHook fills its averaged model from here and ignores foreign keys.
        if self._resume:
            require_resumable(self, checkpoint, str(filename))
        model = bare_model(self.model)
        checkpoint["state_dict"] = convert(
            checkpoint, origin=str(filename), keys=model.state_dict().keys()
        )
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        load_state(model, checkpoint["state_dict"], str(filename), fit=self._fit)
        if self._resume:
            parts = {k: checkpoint[k] for k in ("ema_state_dict", "optimizer") if k in checkpoint}
            warn_of_non_finite(parts, str(filename))
        self._has_loaded = True
        return checkpoint


def _exists(visualizer: Mapping[str, Any]) -> bool:
    """Whether mmengine would hand out an older one: its classes keep their instances by name."""
    kind = class_of(visualizer.get("type", "Visualizer"), VISUALIZERS)
    keepers = [kind] if is_kind(kind, Visualizer, VISUALIZERS) else []
    name = visualizer.get("name", "")
    return any(keeper.check_instance_created(name) for keeper in [Visualizer, *keepers])
