"""``config.py`` of a detector of rotated boxes, from the tiles that were cut."""

from .pieces import Start, backbone_settings, head, loaders, schedule, tail


def oriented_text(start: Start) -> list[str]:
    """Its lines."""
    numbers = start.numbers
    sets = {
        name: f'ann_file="{name}/annfiles/", data_prefix=dict(img_path="{name}/images/")'
        for name in start.splits
    }
    return [
        *head(start, "tiles", ", tiles/ what was cut of them"),
        f"# Tiles of {numbers.side} that share {numbers.overlap}; of large pictures predict such "
        "ones too:",
        f"# fdam predict WORK_DIR PICTURES --out result/ --tile {numbers.side} "
        f"--overlap {numbers.overlap}",
        *schedule(start),
        f"anchors = {list(numbers.anchors)}  # sides, in strides of 4 to 64 pixels",
        "model = dict(",
        f"    backbone={backbone_settings(start, start.fdam)},",
        "    rpn_head=dict(anchor_generator=dict(scales=anchors)),",
        "    roi_head=dict(bbox_head=dict(num_classes=len(_base_.classes))),",
        ")",
        'data = dict(data_root="{{ fileDirname }}/tiles/")',
        "data.update(metainfo=dict(classes=_base_.classes, palette=_base_.palette))",
        *loaders(sets, ""),
        *tail(start, "dota/mAP"),
    ]
