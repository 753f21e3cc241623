"""Writes metrics.json: what scikit-learn, torchmetrics, pycocotools, seqeval and plain formulas say of fixed predictions, for
tests/metrics.rs.

Run with scikit-learn 1.5 and seqeval 1.2 or newer, PyTorch, torchvision, torchmetrics and pycocotools: python tests/goldens/make_metrics.py
"""

import contextlib
import io
import json
import pathlib

import numpy as np
import seqeval.metrics
import torch
import torchmetrics
import torchvision
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics

ROWS = 24
rng = np.random.default_rng(11)
cases = []


def case(name, arguments, values, truth, value):
    values = np.asarray(values, dtype=np.float32)
    cases.append({
        "name": name,
        "arguments": arguments,
        "dims": list(values.shape),
        "prediction": [float(x) for x in values.reshape(-1)],
        "truth": [None if x != x else x.item() for x in np.asarray(truth).reshape(-1)],
        "value": float(value),
    })


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# Quarter steps make ties among logits and among scores.
logits = (np.round(rng.normal(size=(ROWS, 4)) * 4) / 4).astype(np.float32)
classes = rng.integers(0, 4, ROWS)
logits[np.arange(ROWS), classes] += 0.75
named = logits.argmax(-1)
case("accuracy", {}, logits, classes, metrics.accuracy_score(classes, named))
case("f1", {"average": "macro"}, logits, classes, metrics.f1_score(classes, named, average="macro"))
case("f1", {"average": "micro"}, logits, classes, metrics.f1_score(classes, named, average="micro"))
case("auroc", {}, logits, classes, metrics.roc_auc_score(classes, softmax(logits), multi_class="ovr", average="macro"))
untied = rng.normal(size=(ROWS, 4)).astype(np.float32)
case("top_k", {"k": 2}, untied, classes, metrics.top_k_accuracy_score(classes, untied, k=2))
case("top_k", {"k": 1}, untied, classes, metrics.top_k_accuracy_score(classes, untied, k=1))

two = np.round(rng.normal(size=(ROWS, 2)) * 2).astype(np.float32) / 2
binary = rng.integers(0, 2, ROWS)
case("f1", {"average": "binary"}, two, binary, metrics.f1_score(binary, two.argmax(-1)))
case("auroc", {}, two, binary, metrics.roc_auc_score(binary, two[:, 1] - two[:, 0]))

scores = np.round(rng.normal(size=(ROWS, 3)) * 4).astype(np.float32) / 4
labels = rng.integers(0, 2, (ROWS, 3))
truth = labels.astype(np.float32)
case("accuracy", {}, scores, truth, ((scores > 0) == labels).mean())
case("f1", {"average": "macro"}, scores, truth, metrics.f1_score(labels, scores > 0, average="macro"))
case("f1", {"average": "micro"}, scores, truth, metrics.f1_score(labels, scores > 0, average="micro"))
case("auroc", {}, scores, truth, metrics.roc_auc_score(labels, scores, average="macro"))

# A large mean, so that sums of squares would lose the spread.
for outputs in (1, 3):
    y = (1000 + rng.normal(size=(ROWS, outputs))).astype(np.float32)
    x = (y + 0.5 * rng.normal(size=(ROWS, outputs))).astype(np.float32)
    y64, x64 = y.astype(np.float64), x.astype(np.float64)
    case("rmse", {}, x, y, metrics.root_mean_squared_error(y64, x64))
    case("mae", {}, x, y, metrics.mean_absolute_error(y64, x64))
    case("r2", {}, x, y, metrics.r2_score(y64, x64))


# Dense answers: classes and numbers at each pixel of maps [classes, height, width].
maps = (np.round(rng.normal(size=(ROWS, 4, 3, 5)) * 4) / 4).astype(np.float32)
pixels = rng.integers(0, 3, (ROWS, 3, 5))  # class 3 never occurs, and is predicted


def miou(logits, classes):
    """In 64 bits; torchmetrics computes in 32, and says which classes count."""
    named, count = logits.argmax(1), logits.shape[1]
    both = [((named == c) & (classes == c)).sum() for c in range(count)]
    either = [((named == c) | (classes == c)).sum() for c in range(count)]
    value = np.mean([b / e for b, e in zip(both, either) if e > 0])
    jaccard = torchmetrics.JaccardIndex(task="multiclass", num_classes=count, average="macro")
    assert abs(value - jaccard(torch.tensor(named), torch.tensor(classes)).item()) < 1e-6
    return value


case("miou", {}, maps, pixels, miou(maps, pixels))
never = logits.copy()
never[:, 2] = -9  # class 2 neither occurs nor is predicted
two_of = np.where(classes == 2, 1, classes)
case("miou", {}, never, two_of, miou(never, two_of))
case("miou", {}, scores, truth, metrics.jaccard_score(labels, scores > 0, average="macro"))
case("accuracy", {}, maps, pixels, (maps.argmax(1) == pixels).mean())

far = (10 * rng.random((ROWS, 1, 3, 4)) + 0.5).astype(np.float32)
far[rng.random(far.shape) < 0.2] = np.nan  # pixels without a depth
far[rng.random(far.shape) < 0.1] = 0.0
far[0, 0, 0, 1] = 1.5
guess = (10 * rng.random((ROWS, 1, 3, 4))).astype(np.float32)
kept, given = far > 0, ~np.isnan(far)
error = np.abs(guess.astype(np.float64) - far.astype(np.float64))
case("rel_err", {}, guess, far, (error[kept] / far.astype(np.float64)[kept]).mean())
case("mae", {}, guess, far, error[given].mean())

for shape in ((ROWS, 3), (ROWS, 3, 4, 2)):
    x, y = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    x += y
    y[2, :] = np.nan
    cosine = torch.nn.functional.cosine_similarity(torch.tensor(x).double(), torch.tensor(y).double(), dim=1).numpy()
    degrees = np.degrees(np.arccos(cosine[~np.isnan(cosine)]))
    case("angle", {}, x, y, degrees.mean())
    for limit in (11.25, 30.0):
        case("within", {"degrees": limit}, x, y, (degrees < limit).mean())


# Boxes: 24 images of 9 cells and 4 classes, of which class 3 has no true box and class 2 none in most images. Scores are rounded, so
# that there are ties. Decoding and suppression are torchvision's, the measure is pycocotools'.
def found_in(answer):
    """Boxes of one image: scores √(σ(class) σ(quality)) of at least 0.01, best first, suppressed by class at an IoU of 0.6."""
    answer = torch.tensor(answer).double()
    classes = answer.shape[1] - 7
    scores = (answer[:, :classes].sigmoid() * answer[:, classes, None].sigmoid()).sqrt().float().reshape(-1)
    corners = answer[:, None, classes + 1:classes + 5].expand(-1, classes, -1).reshape(-1, 4)
    labels = torch.arange(classes).repeat(len(answer))
    order = torch.sort(scores, descending=True, stable=True).indices
    order = order[scores[order] >= 0.01]
    kept = []
    for i in order.tolist():
        same = [k for k in kept if labels[k] == labels[i]]
        if not same or torchvision.ops.box_iou(corners[[i]], corners[same]).max() <= 0.6:
            kept.append(i)
    kept = kept[:100]
    return [(labels[k].item(), scores[k].item(), corners[k].tolist()) for k in kept]


def coco(images):
    """mAP at 0.5 to 0.95 and at 0.5, of (found, true) for each image."""
    as_box = lambda c: [c[0], c[1], c[2] - c[0], c[3] - c[1]]
    truth, found = [], []
    for number, (boxes_found, boxes) in enumerate(images):
        for label, *corners in boxes:
            truth.append({"id": len(truth) + 1, "image_id": number, "category_id": int(label), "iscrowd": 0,
                          "bbox": as_box(corners), "area": (corners[2] - corners[0]) * (corners[3] - corners[1])})
        for label, score, corners in boxes_found:
            found.append({"image_id": number, "category_id": label, "score": score, "bbox": as_box(corners)})
    with contextlib.redirect_stdout(io.StringIO()):
        api = COCO()
        api.dataset = {"info": {}, "images": [{"id": n} for n in range(len(images))], "annotations": truth,
                       "categories": [{"id": c} for c in range(4)]}
        api.createIndex()
        run = COCOeval(api, api.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[0], run.stats[1]


answers = np.zeros((ROWS, 9, 4 + 7), np.float32)
there = np.full((ROWS, 4, 5), -1, np.float32)
for row in range(ROWS):
    count = rng.integers(0, 5) if row else 2
    for k in range(count):
        corner, side = rng.integers(0, 30, 2), rng.integers(4, 20, 2)
        there[row, k] = [2 if row % 9 == 4 and k == 0 else rng.integers(0, 2), *corner, *(corner + side)]
    there[row, count:, 1:] = 0
    answers[row, :, :5] = np.round(rng.normal(size=(9, 5)) * 4 - 2) / 4
    for cell in range(9):
        k = rng.integers(0, 4)
        box = there[row, k, 1:] if k < count else np.concatenate([corner := rng.integers(0, 30, 2), corner + 9])
        answers[row, cell, 5:9] = np.round((box + rng.normal(size=4) * (cell % 3)) * 2) / 2
        answers[row, cell, 7:9] = np.maximum(answers[row, cell, 7:9], answers[row, cell, 5:7] + 1)
        if k < count:
            answers[row, cell, int(there[row, k, 0])] += 1.5
scenes = [(found_in(a), [b for b in t.tolist() if b[0] >= 0]) for a, t in zip(answers, there)]
whole, half = coco(scenes)
case("map", {}, answers, there, whole)
case("map50", {}, answers, there, half)
# Ordered classes: how far off the decision is.
case("mae", {}, logits, classes, metrics.mean_absolute_error(classes, named))

# A vector of labels is right as a whole or not at all.
case("exact", {}, scores, truth, metrics.accuracy_score(labels, scores > 0))

# Tags of sequences by seqeval, 1.2 or newer: wrong beginnings, kinds that change inside, places without a label.
names = ["O", "B-PLACE", "I-PLACE", "B-PERSON", "I-PERSON"]
tags = rng.choice(5, (ROWS, 9), p=[0.4, 0.15, 0.2, 0.1, 0.15])
scores = (rng.normal(size=(ROWS, 9, 5)) + 2.5 * np.eye(5)[tags]).astype(np.float32)
tags[:, 7:][rng.random((ROWS, 2)) < 0.5] = -1
tags[2::3, 3] = -1
tags[:, 0] = np.maximum(tags[:, 0], 0)
rows = [np.flatnonzero(row >= 0) for row in tags]
true = [[names[k] for k in row[keep]] for row, keep in zip(tags, rows)]
said = [[names[k] for k in row[keep].argmax(-1)] for row, keep in zip(scores, rows)]
for average in ("micro", "macro"):
    case("entity_f1", {"average": average}, scores, tags, seqeval.metrics.f1_score(true, said, average=average))
    cases[-1]["names"] = names

path = pathlib.Path(__file__).with_name("metrics.json")
path.write_text(json.dumps(cases, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
