"""Heads against a data set's classes, on the heads alone."""

import pytest
from torch import nn

from fdam_mm.errors import UsageError
from fdam_mm.training.class_counts import require_class_counts

SEVEN = dict(classes=tuple("abcdefg"))
PANOPTIC = dict(classes=("a", "b", "c"), thing_classes=("a", "b"), stuff_classes=("c",))


def head(**settings: object) -> nn.Module:
    module = nn.Module()
    vars(module).update(settings)
    return module


def model(**parts: nn.Module) -> nn.Module:
    return nn.ModuleDict(parts)


def roi_head(*classes: int, mask: nn.Module) -> nn.Module:
    heads = nn.ModuleList(head(num_classes=n) for n in classes)
    return nn.ModuleDict(dict(bbox_head=heads, mask_head=mask))


@pytest.mark.parametrize(
    ("parts", "metainfo"),
    [
        (dict(decode_head=head(num_classes=7), auxiliary_head=head(num_classes=7)), SEVEN),
        (dict(decode_head=head(num_classes=2, out_channels=1)), dict(classes=("no", "yes"))),
        (dict(rpn_head=head(num_classes=1), bbox_head=head(num_classes=7)), SEVEN),
        (dict(roi_head=roi_head(7, 7, mask=head(num_classes=80, class_agnostic=True))), SEVEN),
        (dict(backbone=head(num_classes=1000)), SEVEN),
        (dict(decode_head=head(num_classes=9)), {}),
        (dict(decode_head=head(num_classes=9)), dict(classes=None)),
        (
            dict(panoptic_head=head(num_classes=3, num_things_classes=2, num_stuff_classes=1)),
            PANOPTIC,
        ),
    ],
)
def test_what_fits(parts: dict[str, nn.Module], metainfo: dict) -> None:
    require_class_counts(model(**parts), metainfo)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            dict(decode_head=head(num_classes=3), auxiliary_head=head(num_classes=9)),
            "model.decode_head.num_classes is 3, the data has 7 classes; "
            "model.auxiliary_head.num_classes is 9, the data has 7 classes",
        ),
        (
            dict(roi_head=roi_head(7, 6, mask=head(num_classes=7))),
            "model.roi_head.bbox_head.1.num_classes is 6, the data has 7 classes",
        ),
        (
            dict(bbox_head_refine=nn.ModuleList([head(num_classes=15)])),
            "model.bbox_head_refine.0.num_classes is 15, the data has 7 classes",
        ),
        (
            dict(panoptic_head=head(num_classes=8, num_things_classes=8, num_stuff_classes=0)),
            "panoptic_head.num_things_classes + num_stuff_classes is 8, the data has 7 classes",
        ),
    ],
)
def test_what_does_not(parts: dict[str, nn.Module], message: str) -> None:
    with pytest.raises(UsageError) as error:
        require_class_counts(model(**parts), SEVEN)
    assert f"{message}. Set" in str(error.value)


def test_things_and_stuff_are_compared_apart() -> None:
    panoptic = head(num_classes=3, num_things_classes=1, num_stuff_classes=2)
    with pytest.raises(UsageError, match="num_things_classes is 1, the data has 2 thing_classes"):
        require_class_counts(model(panoptic_head=panoptic), PANOPTIC)
