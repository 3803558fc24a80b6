"""The metric of a data set, of a model in torch and of its export."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS, METRICS

from fdam_mm.apis.predicting import predict
from fdam_mm.errors import UsageError
from fdam_mm.report.collecting import iou
from fdam_mm.report.confusion import confusion_of_pixels
from fdam_mm.runtime import Model, load
from fdam_mm.toolkits.quiet import quiet
from fdam_mm.toolkits.scope import scope_of, toolkit_scope


def measure(model: Any, path: Path, most: int | None) -> dict[str, Any]:
    """The metric of torch and of the export at ``path``, over the config's test data or ``most``.

    Returns:
        ``name`` of the metric (mIoU in percent, or the mean AP of masks, of boxes where there are
        none), ``pictures``, its values ``torch`` and ``onnx``; of segmentation ``changed`` too.

    Raises:
        UsageError: The config has no labelled test data.
    """
    runtime = load(path)
    if runtime.description.task == "segmentation":
        return _mean_iou(model, runtime, most)
    return _mean_ap(model, runtime, most)


def _mean_iou(model: Any, runtime: Model, most: int | None) -> dict[str, Any]:
    num_classes = len(runtime.description.classes)
    counts = np.zeros((2, num_classes, num_classes), np.int64)
    pictures = changed = pixels = 0
    for file, labels in islice(labelled(model), most):
        (torchs,) = predict(model, file, progress=False)
        both = [np.asarray(torchs.labels), runtime(file).labels]  # type: ignore[attr-defined]
        for count, predicted in zip(counts, both, strict=True):
            count += confusion_of_pixels(labels, predicted, num_classes)
        changed += np.count_nonzero(both[0] != both[1])
        pixels += both[0].size
        pictures += 1
    if not pictures:
        raise UsageError("the config's test data have no picture: nothing can be measured")
    torch_miou, onnx_miou = (float(100 * np.nanmean(iou(count))) for count in counts)
    return dict(
        name="mIoU",
        pictures=pictures,
        torch=torch_miou,
        onnx=onnx_miou,
        changed=changed / max(pixels, 1),
    )


def labelled(model: Any) -> Iterator[tuple[Path, np.ndarray]]:
    """Files and labels of the config's test data; 255 is no label."""
    config = model.cfg
    loader = config.get("test_dataloader")
    if not loader:
        raise UsageError("the config has no test_dataloader: nothing can be measured")
    with toolkit_scope(scope_of(config)):
        data = DATASETS.build(loader.dataset)
        for index in range(len(data)):
            sample = data[index]["data_samples"]
            if "gt_sem_seg" not in sample:
                raise UsageError("the config's test data have no labels: nothing can be measured")
            yield Path(sample.img_path), sample.gt_sem_seg.data[0].numpy()


def _mean_ap(model: Any, runtime: Model, most: int | None) -> dict[str, Any]:
    config, values = model.cfg, []
    with toolkit_scope(scope_of(config)), quiet():
        data = DATASETS.build(config.test_dataloader.dataset)
        metrics = [_coco_metric(config) for _ in range(2)]
        samples = [data[i]["data_samples"] for i in range(min(most or len(data), len(data)))]
        for sample in samples:
            (torchs,) = predict(model, sample.img_path, progress=False)
            for metric, result in zip(metrics, (torchs, runtime(sample.img_path)), strict=True):
                metric.process({}, [_as_sample(sample, result)])
        for metric in metrics:
            metric.dataset_meta = data.metainfo
            metric.img_ids = [sample.img_id for sample in samples]
            found = metric.evaluate(len(samples))
            name = next(n for n in ("segm_mAP", "bbox_mAP") if f"coco/{n}" in found)
            values.append(float(found[f"coco/{name}"]))
    return dict(name=name, pictures=len(samples), torch=values[0], onnx=values[1])


def _coco_metric(config: Any) -> Any:
    """The config's.

    Raises:
        UsageError: It has none.
    """
    settings = config.get("test_evaluator") or []
    for entry in settings if isinstance(settings, list | tuple) else [settings]:
        if str(entry["type"]).rpartition(".")[2] == "CocoMetric":
            return METRICS.build({**entry, "prefix": "coco", "outfile_prefix": None})
    raise UsageError("the config's test_evaluator has no CocoMetric: AP cannot be measured")


def _as_sample(sample: Any, result: Any) -> dict[str, Any]:
    instances = dict(
        bboxes=torch.from_numpy(result.boxes), scores=torch.from_numpy(result.scores),
        labels=torch.from_numpy(result.labels),
    )  # fmt: skip
    if result.rles is not None:
        instances["masks"] = result.rles
    return dict(img_id=sample.img_id, ori_shape=sample.ori_shape, pred_instances=instances)
