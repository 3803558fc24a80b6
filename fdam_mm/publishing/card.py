"""The model card, README.md: front matter in the form of Hugging Face's hub, then words."""

import re
from typing import Any

from .description import Published

_METRICS = {"mIoU": "mean_iou", "aAcc": "accuracy"}  # the hub's names
NOT_STATED = "not stated"


def write_card(published: Published) -> str:
    """README.md of a published model.

    What nobody said is "not stated", in words, and absent from the front matter.
    """
    import yaml  # comes with mmengine

    front = yaml.safe_dump(_front(published), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(published)}"


def task_of(config: dict[str, Any]) -> str:
    """The hub's name of what a model does."""
    evaluators = str(config.get("test_evaluator"))
    masks = config.get("default_scope") == "mmseg" or "segm" in evaluators
    return "image-segmentation" if masks or "Panoptic" in evaluators else "object-detection"


def _front(published: Published) -> dict[str, Any]:
    task = task_of(published.config)
    front: dict[str, Any] = {}
    if published.license:
        front["license"] = published.license
    front |= dict(library_name="fdam_mm", pipeline_tag=task)
    front["tags"] = ["openmmlab", str(published.config.get("default_scope"))]
    if "fdam" in str(published.config.get("model")).lower():
        front["tags"].append("fdam")
    if published.data and re.fullmatch(r"[\w.-]+/[\w.-]+", published.data):
        front["datasets"] = [published.data]
    if published.metrics:
        front["metrics"] = [_METRICS.get(name, name) for name in published.metrics.values]
        if published.data:
            front["model-index"] = [_index(published, task)]
    return front


def _index(published: Published, task: str) -> dict[str, Any]:
    assert published.metrics and published.data
    slug = re.sub(r"[^a-z0-9/]+", "-", published.data.lower()).strip("-")
    split = published.metrics.split
    return dict(
        name=published.name,
        results=[
            dict(
                task=dict(type=task),
                dataset=dict(name=published.data, type=slug, split=split),
                metrics=[
                    dict(type=_METRICS.get(name, name), value=round(value, 4), name=name)
                    for name, value in published.metrics.values.items()
                ],
            )
        ],
    )


def _body(published: Published) -> str:
    weights = "the average (EMA) that the training kept" if published.averaged else "as trained"
    rows = [
        ("task", task_of(published.config)),
        ("classes", f"{len(published.classes)}: {', '.join(published.classes)}"),
        ("trained on", published.data or NOT_STATED),
        ("licence of the weights", published.license or NOT_STATED),
        ("weights", f"`{published.weights}`, {weights}, SHA-256 `{published.sha256}`"),
        ("trained with", _versions(published.versions)),
    ]
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows)
    return f"""# {published.name}

Trained with fdam_mm ([FDAM](https://arxiv.org/abs/2507.12006) for OpenMMLab). `config.json` has
the whole config, classes and colours; nothing in it is code.

| | |
|---|---|
{table}

## Measured

{_measured(published)}

## Use

```python
from fdam_mm.apis import load_model, predict

model = load_model("FOLDER")  # this folder, or hf://USER/MODEL
for result in predict(model, "photos/"):
    result.save("result/")
```
"""


def _measured(published: Published) -> str:
    metrics = published.metrics
    if metrics is None:
        return "Nothing: the training has no validation of these weights in its log."
    head = f"On the data set's `{metrics.split}` split, at step {metrics.step} of the training"
    by = f" by `{metrics.command}`" if metrics.command else ""
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.values.items())
    return f"{head}{by}:\n\n| metric | value |\n|---|---|\n{rows}"


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or NOT_STATED


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
