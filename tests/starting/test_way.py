"""The newcomer's way on made-up data: inspect, new, train, report, predict, in one process."""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, HOOKS, METRICS

from fdam_mm.apis.building import build_model
from fdam_mm.cli import main as fdam
from fdam_mm.data.show.statistics import statistics
from fdam_mm.starting import tiles
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.training.config import read_config

HEIGHT, WIDTH = 64, 80
QUICK = [
    f"{split}_dataloader.{option}"
    for split in ("train", "val", "test")
    for option in ("num_workers=0", "persistent_workers=False")
] + ["default_hooks.logger.interval=1"]
TWO_STEPS = [
    *QUICK, "train_cfg.max_iters=2", "train_cfg.val_interval=2", "param_scheduler.0.end=1",
    "param_scheduler.1.begin=1", "param_scheduler.1.end=2", "default_hooks.checkpoint.interval=2",
]  # fmt: skip

SHALLOW = [  # of SegFormer
    "model.backbone.num_layers=[1,1,1,1]", "model.backbone.embed_dims=16",
    "model.decode_head.in_channels=[16,32,80,128]", "model.decode_head.channels=16",
]  # fmt: skip
NARROW = [  # of a detector's pyramid and heads
    "model.neck.out_channels=16", "model.rpn_head.in_channels=16",
    "model.rpn_head.feat_channels=16", "model.roi_head.bbox_roi_extractor.out_channels=16",
    "model.roi_head.bbox_head.in_channels=16", "model.roi_head.bbox_head.fc_out_channels=16",
]  # fmt: skip


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of a bright square on dark ground, with label maps of two classes."""
    root = tmp_path_factory.mktemp("own") / "photos"
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(10):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        left, top = rng.integers(0, 40, 2)
        labels[top : top + 20, left : left + 20] = 1
        pixels = 40 + 160 * labels[..., None] + rng.integers(0, 30, (HEIGHT, WIDTH, 3))
        cv2.imwrite(str(root / f"images/{index}.jpg"), pixels.astype(np.uint8))
        cv2.imwrite(str(root / f"masks/{index}.png"), labels)
    return root


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures in COCO's form, without a split."""
    root = tmp_path_factory.mktemp("own") / "nuts"
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, 6):
        cv2.imwrite(str(root / f"images/{i}.jpg"), np.full((HEIGHT, WIDTH, 3), 20 * i, np.uint8))
        images.append(dict(id=i, file_name=f"{i}.jpg", height=HEIGHT, width=WIDTH))
        polygon = [5.0, 5.0, 30.0, 5.0, 30.0, 25.0]
        annotations.append(
            dict(
                id=i, image_id=i, category_id=1, iscrowd=0, bbox=[5, 5, 25, 20], area=250,
                segmentation=[polygon],
            )
        )  # fmt: skip
    data = dict(images=images, annotations=annotations, categories=[dict(id=1, name="fig")])
    (root / "labels.json").write_text(json.dumps(data))
    return root


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of two nuts on grass, COCO panoptic; the JSON names grass first."""
    root = tmp_path_factory.mktemp("own") / "lawn"
    for folder in ("images", "annotations/panoptic"):
        (root / folder).mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, 4):
        cv2.imwrite(str(root / f"images/{i}.jpg"), np.full((HEIGHT, WIDTH, 3), 20 * i, np.uint8))
        ids = np.full((HEIGHT, WIDTH), 5, np.uint8)
        ids[10:30, 10:30], ids[40:60, 40:70] = 6, 7
        cv2.imwrite(str(root / f"annotations/panoptic/{i}.png"), ids[..., None] * (0, 0, 1))
        images.append(dict(id=i, file_name=f"{i}.jpg", height=HEIGHT, width=WIDTH))
        segments = [
            dict(id=5, category_id=1, area=4120, bbox=[0, 0, WIDTH, HEIGHT], iscrowd=0),
            dict(id=6, category_id=2, area=400, bbox=[10, 10, 20, 20], iscrowd=0),
            dict(id=7, category_id=2, area=600, bbox=[40, 40, 30, 20], iscrowd=0),
        ]
        annotations.append(dict(image_id=i, file_name=f"{i}.png", segments_info=segments))
    categories = [dict(id=1, name="grass", isthing=0), dict(id=2, name="nut", isthing=1)]
    data = dict(images=images, annotations=annotations, categories=categories)
    (root / "annotations/panoptic.json").write_text(json.dumps(data))
    return root


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelme's turned boxes, a background, and one picture larger than a tile."""
    root = tmp_path_factory.mktemp("own") / "ships"
    root.mkdir()
    for i in range(5):
        height, width = (HEIGHT, 400) if i == 3 else (HEIGHT, WIDTH)
        cv2.imwrite(str(root / f"{i}.jpg"), np.full((height, width, 3), 20 * i, np.uint8))
        left = width - 60
        points = [[left, 20], [left + 20, 10], [left + 30, 30], [left + 10, 40]]
        shape = dict(label="fishing boat", points=points, shape_type="rotated_rectangle")
        data = dict(
            version="5", flags={}, shapes=[shape] if i else [], imagePath=f"{i}.jpg",
            imageHeight=height, imageWidth=width, imageData=None,
        )  # fmt: skip
        (root / f"{i}.json").write_text(json.dumps(data))
    return root


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int | None:
    monkeypatch.setattr(sys, "argv", ["fdam", *map(str, words)])
    return fdam.main()


def names(file: Path) -> list[str]:
    return file.read_text().split()


def test_the_way(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "data", "inspect", masks) == 0
    run(monkeypatch, "new", "square", "--data", masks)
    config = Path("square/config.py")
    assert len(config.read_text().splitlines()) < 40
    text = config.read_text().replace("max_iters = 1000 ", "max_iters = 5 ")
    config.write_text(text)  # it is ours to edit
    quick = [*QUICK, *SHALLOW, "train_dataloader.batch_size=2", "train_cfg.val_interval=5"]
    quick += ["default_hooks.checkpoint.interval=5"]
    run(monkeypatch, "train", config, "--work-dir", "work", "--cfg-options", *quick)
    (log,) = Path("work").glob("*/vis_data/scalars.json")
    rates = [json.loads(line).get("lr", 0) for line in log.read_text().splitlines()]
    assert max(rates) > 1e-4  # the warm-up ends
    run(monkeypatch, "report", "work", "--pictures", "1")
    page = Path("work/report.html").read_text()
    assert "fdam train square/config.py" in page and "boundary IoU" in page
    run(monkeypatch, "predict", "work", masks / "images/0.jpg", "--out", "result", "--draw")
    assert cv2.imread("result/0.png", cv2.IMREAD_UNCHANGED).shape == (HEIGHT, WIDTH)


def test_new_splits_and_overwrites_nothing(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "new", "square", "--data", masks, "--plain")
    train, val = names(Path("square/splits/train.txt")), names(Path("square/splits/val.txt"))
    assert (len(train), len(val)) == (8, 2) and set(train) | set(val) == set(map(str, range(10)))
    plain, fdam_twin = (Config.fromfile(f"square/{name}.py") for name in ("config", "fdam"))
    assert "fdam" not in plain.model.backbone
    assert fdam_twin.model.backbone.pop("fdam") == dict(att_inv=True, freq_scale=True)
    assert fdam_twin.to_dict() == plain.to_dict()
    with pytest.raises(SystemExit, match="there and not empty; nothing is ever overwritten"):
        run(monkeypatch, "new", "square", "--data", masks)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five TIFFs of five bands of 16 bits, one of them without data in a corner."""
    rasterio = pytest.importorskip("rasterio")
    root = tmp_path_factory.mktemp("own") / "fields"
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(5):
        labels = (np.arange(WIDTH) >= 40).astype(np.uint8)[None].repeat(HEIGHT, 0)
        bands = 1000 * np.arange(1, 6)[:, None, None] + 500 * labels.astype(int)
        bands = (bands + rng.integers(-50, 50, bands.shape)).astype(np.uint16)
        bands[:, :4, :4] = 65535 if index == 2 else bands[:, :4, :4]
        profile = dict(
            driver="GTiff", count=5, height=HEIGHT, width=WIDTH, dtype="uint16", nodata=65535
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(root / f"images/{index}.tif", "w", **profile) as file:
                file.write(bands)
        cv2.imwrite(str(root / f"masks/{index}.png"), labels)
    return root


def test_several_bands(rasters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "new", "fields", "--data", rasters)
    assert len(Path("fields/config.py").read_text().splitlines()) < 40
    config = read_config("fields/config.py", {})
    np.testing.assert_allclose(config.load.mean, 1000 * np.arange(1, 6) + 250, atol=5)
    np.testing.assert_allclose(config.load.std, [252] * 5, atol=3)  # of 0 and 500, and the noise
    assert config.model.backbone.in_channels == 5
    run(monkeypatch, "data", "show", "fields/config.py", "-n", "2", "--out", "look")
    assert not run(monkeypatch, "data", "check", "fields/config.py")
    run(
        monkeypatch, "train", "fields/config.py", "--work-dir", "work", "--cfg-options",
        *TWO_STEPS, *SHALLOW, "train_dataloader.batch_size=2",
    )  # fmt: skip
    run(monkeypatch, "report", "work", "--pictures", "1")
    file = rasters / "images/2.tif"
    run(monkeypatch, "predict", "work", file, "--out", "whole", "--draw")
    run(monkeypatch, "predict", "work", file, "--out", "tiles", "--tile", "32")
    for folder in ("whole", "tiles"):
        labels = cv2.imread(f"{folder}/2.png", cv2.IMREAD_UNCHANGED)
        assert labels.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("model", ["deit3-b", "timm:resnet18"])
def test_several_bands_build(
    model: str, rasters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    run(monkeypatch, "new", tmp_path / "own", "--data", rasters, "--model", model, "--plain")
    assert len((tmp_path / "own/config.py").read_text().splitlines()) < 40
    with torch.device("meta"):
        built = build_model(read_config(str(tmp_path / "own/config.py"), {}))
    first = next(v for v in built.backbone.state_dict().values() if v.ndim == 4)
    assert first.shape[1] == 5


@pytest.mark.parametrize("model", ["deit3-b", "timm:resnet18", "timm:vit_tiny_patch16_224"])
def test_models_build(
    model: str, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    run(monkeypatch, "new", tmp_path / "own", "--data", masks, "--model", model, "--plain")
    config = tmp_path / "own/config.py"
    assert len(config.read_text().splitlines()) < 40
    with torch.device("meta"):
        built = build_model(read_config(str(config), {}))
    assert built.decode_head.num_classes == built.auxiliary_head.num_classes == 2


def test_objects(objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "new", tmp_path / "nuts", "--data", objects)
    assert len((tmp_path / "nuts/config.py").read_text().splitlines()) < 40
    config = read_config(str(tmp_path / "nuts/config.py"), {})
    sizes = []
    for split in ("train", "val"):
        file = Path(config[f"{split}_dataloader"].dataset.ann_file)
        data = json.loads(file.read_text())
        sizes.append(len(data["images"]))
        assert {a["image_id"] for a in data["annotations"]} == {i["id"] for i in data["images"]}
        folder = (
            Path(config.data["data_root"]) / config[f"{split}_dataloader"].dataset.data_prefix.img
        )
        assert all((folder / image["file_name"]).is_file() for image in data["images"])
    assert sizes == [4, 1]
    assert config.val_evaluator.ann_file == config.val_dataloader.dataset.ann_file
    assert config.model.panoptic_head.num_things_classes == 1
    plain = read_config(str(tmp_path / "nuts/plain.py"), {})
    assert plain.model.panoptic_head.pixel_decoder.fdam is None


@pytest.mark.parametrize(
    ("labels", "model"),
    [
        ("objects", None),
        ("panoptic", None),
        ("rotated", None),
        ("boxes", "timm:resnet18"),
        ("masks", "deit3-b"),
    ],
)
def test_from_scratch(
    labels: str, model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Nothing is fetched, frozen, or taught more slowly than the heads, and norms learn."""
    import torch

    monkeypatch.chdir(tmp_path)
    words = ["--model", model, "--plain"] if model else []
    data = request.getfixturevalue(labels)
    run(monkeypatch, "new", "own", "--data", data, "--from-scratch", *words)
    assert ("own/plain.py is the same without" in capsys.readouterr().out) == (not model)
    text = Path("own/config.py").read_text()
    assert "# From drawn weights: norms are trained" in text and len(text.splitlines()) < 40
    config = read_config("own/config.py", {})
    settings = config.model.backbone
    assert settings.get("init_cfg") is None and not settings.get("pretrained")
    with torch.device("meta"), toolkit_scope(scope_of(config)):
        built = build_model(config)
        groups = build_optim_wrapper(built, config.optim_wrapper).param_groups
    built.train()
    assert all(p.requires_grad for p in built.backbone.parameters())
    norms = [m for m in built.backbone.modules() if "Norm" in type(m).__name__]
    assert norms and all(norm.training for norm in norms)
    if labels in ("objects", "panoptic", "rotated"):  # whose batches are small
        assert not any("Batch" in type(norm).__name__ for norm in norms)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in built.backbone.parameters()} == {config.lr}


def test_panoptic(panoptic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "new", "lawn", "--data", panoptic)
    assert len(Path("lawn/config.py").read_text().splitlines()) < 40
    config, plain = (read_config(f"lawn/{name}.py", {}) for name in ("config", "plain"))
    assert plain.model.panoptic_head.pixel_decoder.fdam is None
    assert config.data.metainfo.classes == ("nut", "grass")  # heads count things first
    head = config.model.panoptic_head
    assert (head.num_things_classes, head.num_stuff_classes) == (1, 1)
    with torch.device("meta"), toolkit_scope("mmdet"):
        build_model(config)
    with toolkit_scope("mmdet"):
        dataset = DATASETS.build(config.train_dataloader.dataset)
        metric = METRICS.build(config.val_evaluator)
        HOOKS.build(config.default_hooks.checkpoint)  # knows which PQ is the best
        text = Path("lawn/config.py").read_text()  # early stopping stands there as a comment
        HOOKS.build(
            Config.fromstring(text[text.index("custom_hooks = ") :], ".py").custom_hooks[0]
        )
    sample = dataset[0]["data_samples"]
    assert set(sample.gt_instances.labels.tolist()) == {0}
    assert {0, 1} >= set(np.unique(sample.gt_sem_seg.sem_seg).tolist()) - {255} > {0}
    assert len(dataset) == 2 and len(metric.coco.imgs) == 1
    np.testing.assert_allclose(statistics(dataset).sides, 2 * [20, 600**0.5])  # of things
    run(monkeypatch, "data", "show", "lawn/config.py", "-n", "2", "--out", "look")
    assert Path("look/samples.png").is_file()
    words = ["lawn/config.py", "--split", "val", "-n", "1", "--out", "looked"]
    run(monkeypatch, "data", "show", *words)  # resized, and its labels are not
    assert Path("looked/samples.png").is_file()


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with YOLO's upright boxes, which must be converted for mmdet."""
    root = tmp_path_factory.mktemp("own") / "figs"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for i in range(4):
        cv2.imwrite(str(root / f"images/{i}.jpg"), np.full((HEIGHT, WIDTH, 3), 20 * i, np.uint8))
        (root / f"labels/{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n")
    (root / "classes.txt").write_text("fig\nnut\n")
    return root


def test_upright_boxes(boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are converted, for mmdet reads no YOLO, and the config finds them where it lies."""
    monkeypatch.chdir(tmp_path)
    model = "timm:mobilenetv3_small_050"
    run(monkeypatch, "new", "figs", "--data", boxes, "--model", model, "--plain", "--from-scratch")
    Path("figs").rename("moved")
    assert len(Path("moved/config.py").read_text().splitlines()) < 40
    run(monkeypatch, "data", "show", "moved/config.py", "-n", "2", "--out", "look")
    quick = [*TWO_STEPS, *NARROW]
    run(monkeypatch, "train", "moved/config.py", "--work-dir", "work", "--cfg-options", *quick)
    (log,) = Path("work").glob("*/vis_data/scalars.json")
    assert any("coco/bbox_mAP" in json.loads(line) for line in log.read_text().splitlines())
    run(monkeypatch, "predict", "work", boxes / "images/3.jpg", "--out", "result", "--draw")
    assert Path("result/3.jpg").is_file()


def test_the_default_of_boxes(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    run(monkeypatch, "new", tmp_path / "figs", "--data", boxes)
    config = read_config(str(tmp_path / "figs/config.py"), {})
    assert config.model.backbone.fdam == dict(att_inv=True, freq_scale=True)
    with torch.device("meta"), toolkit_scope("mmdet"):
        built = build_model(config)
    assert built.roi_head.bbox_head.num_classes == 2
    with pytest.raises(SystemExit, match="boxes need .4, 8, 16, 32.: take a hierarchical"):
        vit = ("--model", "timm:vit_tiny_patch16_224")
        run(monkeypatch, "new", tmp_path / "vit", "--data", boxes, *vit)


@pytest.mark.parametrize(
    ("labels", "task", "model"),
    [
        ("objects", "semantic", "EncoderDecoder"),
        ("panoptic", "semantic", "EncoderDecoder"),
        ("objects", "boxes", "FasterRCNN"),
        ("rotated", "boxes", "FasterRCNN"),
        ("objects", "oriented", "mmdet.FasterRCNN"),
    ],
)
def test_labels_serve_other_tasks(
    labels: str, task: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    data = request.getfixturevalue(labels)
    run(monkeypatch, "new", "own", "--data", data, "--task", task)
    config = read_config("own/config.py", {})
    assert config.model.type == model
    assert len(Path("own/config.py").read_text().splitlines()) < 40
    if task == "semantic":
        assert len(config.data.metainfo.classes) == 2  # background, or grass, and an object
    run(monkeypatch, "data", "show", "own/config.py", "-n", "1", "--out", "look")


def test_rotated_boxes(rotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "new", "ships", "--data", rotated)
    assert len(Path("ships/config.py").read_text().splitlines()) < 40
    config, plain = (read_config(f"ships/{name}.py", {}) for name in ("config", "plain"))
    assert (
        config.model.backbone.fdam == dict(freq_scale=True) and plain.model.backbone.fdam is None
    )
    assert config.data.metainfo.classes == ("fishing-boat",)
    pictures = names(Path("ships/splits/train.txt")) + names(Path("ships/splits/val.txt"))
    assert sorted(pictures) == ["0", "1", "2", "3", "4"]
    tiles = {path.stem for path in Path("ships/tiles").glob("*/images/3_*.png")}
    assert tiles == {f"3__96__{left}___0" for left in (0, 73, 146, 219, 292, 304)}
    lines = [p.read_text() for p in Path("ships/tiles").glob("*/annfiles/3__96__304___0.txt")]
    assert lines == ["36.0 20.0 56.0 10.0 66.0 30.0 46.0 40.0 fishing-boat 0\n"]
    run(monkeypatch, "data", "show", "ships/config.py", "-n", "2", "--out", "look")
    assert Path("look/samples.png").is_file() and Path("look/classes_1.png").is_file()
    small = ["model.backbone.embed_dims=[16,16,16,16]", "model.neck.in_channels=[16,16,16,16]"]
    small += ["model.backbone.depths=[1,1,1,1]", "model.backbone.norm_cfg.num_groups=8", *NARROW]
    run(
        monkeypatch, "train", "ships/config.py", "--work-dir", "work", "--cfg-options",
        *TWO_STEPS, *small,
    )  # fmt: skip
    (log,) = Path("work").glob("*/vis_data/scalars.json")
    assert any("dota/mAP" in json.loads(line) for line in log.read_text().splitlines())
    image = rotated / "3.jpg"
    run(monkeypatch, "predict", "work", image, "--out", "result", "--draw", "--tile", 96)
    assert Path("result/3.jpg").is_file()


def test_an_interrupted_cut_goes_on(
    rotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write, calls = tiles.write_patches, []

    def stop(*arguments: Any) -> list[str]:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(tiles, "write_patches", stop)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(monkeypatch, "new", "ships", "--data", rotated)
    there = {file: file.stat().st_mtime_ns for file in Path("ships").rglob("*.png")}
    assert there and not Path("ships/config.py").exists()
    stale = Path("ships/tiles/train/images/gone__96__0___0.png")
    stale.write_bytes(b"")
    run(monkeypatch, "new", "ships", "--data", rotated)
    assert {file: file.stat().st_mtime_ns for file in there} == there
    assert len(calls) == 3 + 5 - 2 and not stale.exists()
    assert len(list(Path("ships").rglob("*.png"))) == len(list(Path("ships").rglob("*__*.txt")))
    assert Path("ships/config.py").is_file() and not Path("ships/.fdam_new.json").exists()


def test_objects_in_no_tile_are_said(
    rotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A pier is longer than half a tile, and whole in a larger one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(rotated, "ships")
    label = json.loads(Path("ships/3.json").read_text())
    pier = [[20, 30], [320, 30], [320, 40], [20, 40]]
    label["shapes"].append(dict(label="pier", points=pier, shape_type="rotated_rectangle"))
    Path("ships/3.json").write_text(json.dumps(label))
    run(monkeypatch, "new", "small", "--data", "ships", "--tile", 96)
    assert "tiles share are in no tile: 1 of pier; larger tiles" in capsys.readouterr().out
    run(monkeypatch, "new", "large", "--data", "ships", "--tile", 416)
    assert "note" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="a multiple of 32 from 64 on"):
        run(monkeypatch, "new", "other", "--data", "ships", "--tile", 100)


def test_a_single_large_picture_is_divided(
    rotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "one"
    root.mkdir()
    for suffix in (".jpg", ".json"):
        shutil.copyfile(rotated / f"3{suffix}", root / f"3{suffix}")
    run(monkeypatch, "new", tmp_path / "new", "--data", root)
    tiles = tmp_path / "new/tiles"
    lefts = {s: sorted(_lefts(tiles / s / "images")) for s in ("train", "val")}
    assert lefts["train"][0] == 0 and lefts["val"] == [320]
    objects = {s: "".join(f.read_text() for f in (tiles / s).rglob("*.txt")) for s in lefts}
    assert objects == dict(
        train="", val="20.0 20.0 40.0 10.0 50.0 30.0 30.0 40.0 fishing-boat 0\n"
    )
    first = cv2.imread(str(next((tiles / "train/images").glob("3__*__0___0.png"))))
    assert first.shape[0] == first.shape[1]
    # nothing of the part that validates is seen by the training
    last = max((tiles / "train/images").iterdir(), key=lambda f: int(f.stem.split("__")[2]))
    left = int(last.stem.split("__")[2])
    seen = cv2.imread(str(last))[:HEIGHT, : 320 - left]
    assert np.abs(seen.astype(int) - 60).max() <= 2


def _lefts(folder: Path) -> list[int]:
    return [int(file.stem.split("__")[2]) for file in folder.iterdir()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "mask-dino-r50"], "is for instance, panoptic, the labels for semantic"),
        (["--model", "no"], "expected one of segformer-b0"),
        (["--model", "timm:no_such_model"], "timm.list_models"),
        (["--format", "no"], "expected one of"),
        (["--task", "boxes"], "do not serve --task boxes; expected one of semantic"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], message: str, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=f"fdam new: error: .*{message}"):
        run(monkeypatch, "new", tmp_path / "own", "--data", masks, *words)
    assert not (tmp_path / "own").exists()
