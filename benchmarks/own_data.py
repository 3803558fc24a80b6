"""Round trips of own data: a COCO set and label maps, written by other libraries, read by ours.

Example:
  benchmarks/own_data.py /data/nuts /data/camvid/val --out /tmp/trips

Each row: who wrote the format, pictures and objects before and after, and the largest difference
of a box's sides in pixels (of a label map, the pixels that differ).
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import rasterio
import supervision
from PIL import Image

from fdam_mm.data.own import LabelledSet, ObjectLabels, SemanticLabels, open_labelled
from fdam_mm.data.pictures.header import read_header

COLOURS = np.random.default_rng(0).permutation(256**3)[:256]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("coco", type=Path, help="a set with polygons or boxes")
    arguments.add_argument("masks", type=Path, help="label maps of bytes")
    arguments.add_argument("--out", type=Path, required=True, help="new folder")
    args = arguments.parse_args()
    source = open_labelled(args.coco)
    print("| format | written by | pictures | objects | largest difference of a box |")
    print("|---|---|---|---|---|")
    for name, author, write in OBJECT_WRITERS:
        folder = args.out / name.replace(" ", "_")
        write(source, folder)
        print(f"| {name} | {author} | {compared(source, open_labelled(folder))} |")
    maps = open_labelled(args.masks)
    print("\n| label maps | written by | pictures | pixels that differ |")
    print("|---|---|---|---|")
    for name, author, write_map in MAP_WRITERS:
        folder = args.out / name.replace(" ", "_")
        write_maps(maps, folder, name, write_map)
        print(f"| {name} | {author} | {compared_maps(maps, open_labelled(folder))} |")


def compared(before: LabelledSet, after: LabelledSet) -> str:
    """Pictures, objects and the largest difference of a side."""
    old, new = objects(before), objects(after)
    counts = (
        f"{len(old)} / {len(new)} | {sum(map(len, old.values()))} / {sum(map(len, new.values()))}"
    )
    differences = [0.0]
    for picture, rows in old.items():
        for row in rows:
            same = [other for other in new.get(picture, []) if other[0] == row[0]]
            sides = [max(abs(a - b) for a, b in zip(row[1], o[1], strict=True)) for o in same]
            differences.append(min(sides, default=float("inf")))
    return f"{counts} | {max(differences):.3g} px"


def objects(labelled: LabelledSet) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """Class and box of the objects of each picture; of the mask, if there is one."""
    found = {}
    for picture in labelled.pictures:
        labels = labelled.read(picture)
        assert isinstance(labels, ObjectLabels)
        rows = []
        for item in labels.objects:
            box = item.box
            if item.polygons:
                points = np.concatenate(item.polygons)
                box = (*points.min(0).tolist(), *points.max(0).tolist())
            rows.append((labelled.classes[item.label].name, box))
        found[picture.name] = rows
    return found


def to_supervision(source: LabelledSet, with_masks: bool) -> "supervision.DetectionDataset":
    images, annotations = [], {}
    for picture in source.pictures:
        rows = objects_of(source, picture)
        boxes = np.array([box for _, box, _ in rows], float).reshape(-1, 4)
        size = read_header(picture.image).size
        masks = None
        if with_masks:
            masks = np.stack([supervision.polygon_to_mask(p.round().astype(int), size[::-1])
                              for _, _, p in rows]).astype(bool)  # fmt: skip
        labels = np.array([label for label, _, _ in rows])
        images.append(str(picture.image))
        annotations[str(picture.image)] = supervision.Detections(boxes, masks, class_id=labels)
    return supervision.DetectionDataset(
        [info.name for info in source.classes], images, annotations
    )


def objects_of(source: LabelledSet, picture: object) -> list[tuple]:
    """Label, box of the polygon, polygon of each object."""
    labels = source.read(picture)  # type: ignore[arg-type]
    rows = []
    for item in labels.objects:  # type: ignore[union-attr]
        points = item.polygons[0]
        rows.append((item.label, (*points.min(0), *points.max(0)), points))
    return rows


def by_supervision(kind: str, with_masks: bool) -> Callable[[LabelledSet, Path], None]:
    def write(source: LabelledSet, folder: Path) -> None:
        data = to_supervision(source, with_masks)
        images = str(folder / "images")
        if kind == "coco":
            data.as_coco(images, str(folder / "set.json"))
        elif kind == "yolo":
            data.as_yolo(images, str(folder / "labels"), str(folder / "data.yaml"))
        else:
            data.as_pascal_voc(images, str(folder / "annotations"))

    return write


def link_pictures(source: LabelledSet, folder: Path) -> None:
    folder.mkdir(parents=True)
    for picture in source.pictures:
        (folder / picture.image.name).symlink_to(picture.image.resolve())


def labelme(source: LabelledSet, folder: Path) -> None:
    """By labelme's schema."""
    link_pictures(source, folder)
    for picture in source.pictures:
        height, width = read_header(picture.image).size
        shapes = [
            dict(label=source.classes[label].name, shape_type="polygon", points=p.tolist())
            for label, _, p in objects_of(source, picture)
        ]
        data = dict(
            version="5.5.0", shapes=shapes, imagePath=picture.image.name, imageData=None,
            imageHeight=height, imageWidth=width,
        )  # fmt: skip
        (folder / f"{picture.image.stem}.json").write_text(json.dumps(data))


def cvat(source: LabelledSet, folder: Path) -> None:
    """By the schema of "CVAT for images 1.1"."""
    link_pictures(source, folder)
    rows = ["<annotations>"]
    for picture in source.pictures:
        height, width = read_header(picture.image).size
        rows.append(
            f'<image name={quoteattr(picture.image.name)} width="{width}" height="{height}">'
        )
        for label, _, points in objects_of(source, picture):
            text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
            name = quoteattr(source.classes[label].name)
            rows.append(f'<polygon label={name} points="{text}"/>')
        rows.append("</image>")
    (folder / "annotations.xml").write_text("\n".join([*rows, "</annotations>"]))


def geojson(source: LabelledSet, folder: Path) -> None:
    """GeoTIFFs of the pictures, and a GeoJSON for each in longitude and latitude."""
    from rasterio.warp import transform_geom

    folder.mkdir(parents=True)
    for number, picture in enumerate(source.pictures):
        pixels = np.asarray(Image.open(picture.image).convert("RGB")).transpose(2, 0, 1)
        place = rasterio.transform.from_origin(500000 + 1000 * number, 5000000, 0.5, 0.5)
        profile = dict(driver="GTiff", count=3, height=pixels.shape[1], width=pixels.shape[2])
        file = folder / f"{picture.image.stem}.tif"
        with rasterio.open(
            file, "w", dtype="uint8", crs="EPSG:32633", transform=place, **profile
        ) as raster:
            raster.write(pixels)
        features = []
        for label, _, points in objects_of(source, picture):
            ring = [(place.c + 0.5 * x, place.f - 0.5 * y) for x, y in [*points, points[0]]]
            shape = transform_geom(
                "EPSG:32633", "OGC:CRS84", dict(type="Polygon", coordinates=[ring])
            )
            properties = {"class": source.classes[label].name}
            features.append(dict(type="Feature", properties=properties, geometry=shape))
        data = dict(type="FeatureCollection", features=features)
        file.with_suffix(".geojson").write_text(json.dumps(data))


OBJECT_WRITERS = (
    ("coco boxes", "supervision", by_supervision("coco", False)),
    ("coco polygons", "supervision", by_supervision("coco", True)),
    ("yolo boxes", "supervision", by_supervision("yolo", False)),
    ("yolo segments", "supervision", by_supervision("yolo", True)),
    ("voc boxes", "supervision", by_supervision("voc", False)),
    ("voc polygons", "supervision", by_supervision("voc", True)),
    ("labelme", "its schema", labelme),
    ("cvat", "its schema", cvat),
    ("geojson", "rasterio", geojson),
)


def write_maps(
    maps: LabelledSet, folder: Path, name: str, write: Callable[[Path, np.ndarray], None]
) -> None:
    link_pictures(maps, folder / "images")
    (folder / "masks").mkdir()
    suffix = ".tif" if "TIFF" in name else ".png"
    for picture in maps.pictures:
        labels = maps.read(picture)
        assert isinstance(labels, SemanticLabels)
        file = folder / "masks" / f"{picture.image.stem}{suffix}"
        write(file, np.where(labels.labels < 0, 255, labels.labels).astype(np.uint8))


def compared_maps(before: LabelledSet, after: LabelledSet) -> str:
    wrong = 0
    others = {picture.name: picture for picture in after.pictures}
    values = [info.value for info in after.classes]
    if any(isinstance(value, tuple) for value in values):  # colours have an order of their own
        values = [COLOURS.tolist().index(r << 16 | g << 8 | b) for r, g, b in values]
    table = np.array([*values, -1])  # the last is -1: no label
    table[table == 255] = -1
    for picture in before.pictures:
        old, new = before.read(picture), after.read(others[picture.name])
        wrong += int((old.labels != table[new.labels]).sum())  # type: ignore[union-attr]
    return f"{len(before.pictures)} / {len(after.pictures)} | {wrong}"


def palette_png(file: Path, labels: np.ndarray) -> None:
    image = Image.fromarray(labels)
    image.putpalette(
        np.stack([COLOURS >> 16, COLOURS >> 8 & 255, COLOURS & 255], 1).ravel().tolist()
    )
    image.save(file)


def colour_png(file: Path, labels: np.ndarray) -> None:
    codes = COLOURS[labels]
    rgb = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=2)
    Image.fromarray(rgb.astype(np.uint8)).save(file)


def tiff(file: Path, labels: np.ndarray) -> None:
    height, width = labels.shape
    with rasterio.open(
        file,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype="uint8",
        compress="lzw",
    ) as raster:
        raster.write(labels, 1)


MAP_WRITERS = (
    ("index PNG", "Pillow", lambda file, labels: Image.fromarray(labels).save(file)),
    ("palette PNG", "Pillow", palette_png),
    ("RGB PNG", "Pillow", colour_png),
    ("TIFF (LZW)", "rasterio", tiff),
)

if __name__ == "__main__":
    main()
