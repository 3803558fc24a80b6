"""Which classes are taken for which: of pixels, and of objects."""

import numpy as np

OVERLAP = 0.5
"""Least IoU of an object and the prediction that found it."""


def confusion_of_pixels(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels, (K, K): rows are the true classes, columns the predicted ones.

    Args:
        labels, predicted: Ints of one shape; pixels whose label is no class are left out.
    """
    known = (labels >= 0) & (labels < num_classes)
    pairs = labels[known].astype(np.int64) * num_classes + predicted[known]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_of_objects(
    overlaps: np.ndarray, labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
    """Match predictions and true objects, one to one, and count, (K + 1, K + 1).

    Pairs of one class go first, then those of two, each from the largest IoU on. The last row
    counts predictions without an object, the last column objects without a prediction.

    Args:
        overlaps: (P, T) IoU of predictions and true objects.
        labels: (T,) ints.
        predicted: (P,) ints.
    """
    counts = np.zeros((num_classes + 1,) * 2, np.int64)
    free, open_ = np.ones(len(predicted), bool), np.ones(len(labels), bool)
    found, true = np.nonzero(overlaps >= OVERLAP)
    same = predicted[found] == labels[true]
    for index in np.lexsort((-overlaps[found, true], ~same)):
        p, t = found[index], true[index]
        if free[p] and open_[t]:
            free[p] = open_[t] = False
            counts[labels[t], predicted[p]] += 1
    np.add.at(counts, (num_classes, predicted[free]), 1)
    np.add.at(counts, (labels[open_], num_classes), 1)
    return counts


def f1_of_objects(counts: np.ndarray) -> float:
    """F1 of the counts of :func:`confusion_of_objects`; 1 where there is nothing to find."""
    right = np.trace(counts[:-1, :-1])
    objects, predictions = counts[:-1].sum(), counts[:, :-1].sum()
    return 1.0 if objects + predictions == 0 else float(2 * right / (objects + predictions))


def largest_confusions(counts: np.ndarray, most: int = 10) -> list[tuple[int, int, float]]:
    """True class, other class and its share of the true class's count, from the largest share."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, counts.shape)
    return [
        (int(r), int(c), float(shares[r, c]))
        for r, c in zip(rows, columns, strict=True)
        if shares[r, c] > 0
    ]
