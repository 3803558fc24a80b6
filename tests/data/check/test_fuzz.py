"""Whatever files hold, a check ends with lines; what is good to it, the toolkits read whole."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from PIL import Image
from support.coco import METAINFO, THINGS, Picture, Thing, write_coco
from support.fuzz import changed, fuzzed, values

from fdam_mm.data.check.dota import DotaSet
from fdam_mm.data.check.instances import EvaluatedInstances, InstanceSet
from fdam_mm.data.check.oriented_xml import _DIOR, _HRSC, XmlSet
from fdam_mm.data.check.panoptic import PanopticSet
from fdam_mm.data.check.sets import DataSet

PICTURES = [
    Picture([Thing((4, 4, 10, 10)), Thing((14, 10, 9, 9), 7, crowd=True)], [90, 95], (24, 32)),
    Picture([Thing((2, 2, 8, 8), 3)], size=(24, 32)),
]


def lines_of(data: DataSet) -> list[str]:
    lines = [str(problem) for problem in data.check().problems]
    assert all(line.isprintable() and len(line) < 20_000 for line in lines)
    return lines


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_coco(tmp_path_factory.mktemp("coco"), PICTURES)
    for file in (root / "annotations").glob("*.json"):
        file.rename(file.with_suffix(".good"))
    return root


def good(root: Path, kind: str) -> dict:
    return json.loads((root / f"annotations/{kind}_train2017.good").read_text())


@fuzzed
@given(data=st.data())
def test_instances(coco: Path, data: st.DataObject) -> None:
    file = coco / "annotations/instances_train2017.json"
    file.write_text(data.draw(changed(good(coco, "instances"))))
    lines = lines_of(InstanceSet(coco / "train2017", file, THINGS))
    evaluated = lines_of(EvaluatedInstances(file, THINGS, ("bbox", "segm")))
    if not lines:
        assert not evaluated
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = CocoDataset(
                ann_file=str(file),
                data_prefix=dict(img=f"{coco}/train2017"),
                metainfo=dict(classes=THINGS),
            )
        wanted = json.loads(file.read_text())
        assert len(dataset) == len(wanted["images"])
        kept = sum(len(dataset.get_data_info(i)["instances"]) for i in range(len(dataset)))
        assert kept == len(wanted["annotations"])


@fuzzed
@given(data=st.data())
def test_panoptic(coco: Path, data: st.DataObject) -> None:
    folder = coco / "annotations/panoptic_train2017"
    file = folder.with_suffix(".json")
    file.write_text(data.draw(changed(good(coco, "panoptic"))))
    if not lines_of(PanopticSet(coco / "train2017", folder, file, METAINFO["classes"])):
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = CocoPanopticDataset(
                ann_file=str(file),
                data_prefix=dict(img=f"{coco}/train2017", seg=str(folder)),
                metainfo=METAINFO,
            )
        wanted = json.loads(file.read_text())
        assert len(dataset) == len(wanted["images"])
        kept = sum(len(dataset.get_data_info(i)["segments_info"]) for i in range(len(dataset)))
        assert kept == sum(len(entry["segments_info"]) for entry in wanted["annotations"])


PLANE = "4 4 14 4 14 14 4 14 plane 0"
_items = st.one_of(
    st.sampled_from([*PLANE.split(), "nan", "1e308", "-5", "gsd:", "9" * 5000, "²", "\x00"]),
    st.floats().map(str),
    st.text(max_size=6),
)
_label_files = st.one_of(
    st.binary(max_size=80),
    st.lists(st.just(PLANE) | st.lists(_items, max_size=12).map(" ".join), max_size=4).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
    ),
)


@pytest.fixture(scope="module")
def dota(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dota")
    (root / "annfiles").mkdir()
    (root / "images").mkdir()
    Image.new("RGB", (32, 24)).save(root / "images/a.png")
    return root


@fuzzed
@given(content=_label_files)
def test_dota(dota: Path, content: bytes) -> None:
    from mmrotate.datasets import DOTADataset

    (dota / "annfiles/a.txt").write_bytes(content)
    if not lines_of(DotaSet(dota / "images", dota / "annfiles", ".png", ("plane",))):
        dataset = DOTADataset(
            ann_file=str(dota / "annfiles"),
            data_prefix=dict(img_path=str(dota / "images")),
            metainfo=dict(classes=("plane",)),
        )
        instances = dataset.get_data_info(0)["instances"]
        assert len(instances) == len(content.decode().splitlines())
        assert not any(instance["ignore_flag"] for instance in instances)


_tags = st.sampled_from(["object", "name", "robndbox", "x_left_top", "size", "HRSC_Objects", "a"])
_trees = st.recursive(
    values.map(lambda value: str(value)[:50]),
    lambda inner: st.tuples(_tags, inner, inner).map("<{0[0]}>{0[1]}{0[2]}</{0[0]}>".format),
    max_leaves=12,
)


@fuzzed
@given(content=st.binary(max_size=60) | _trees.map(lambda t: t.encode("utf-8", "surrogatepass")))
@pytest.mark.parametrize("layout", [_DIOR, _HRSC], ids=["dior", "hrsc"])
def test_xml(dota: Path, layout: object, content: bytes) -> None:
    (dota / "annfiles/a.xml").write_bytes(content)
    (dota / "list.txt").write_text("a")
    folders = dota / "images", ".png", dota / "annfiles"
    lines_of(XmlSet(dota / "list.txt", *folders, ("plane",), layout))
