"""Writes metrics.json: what scikit-learn and seqeval say of fixed predictions, for tests/metrics.rs.

Run with scikit-learn 1.5 and seqeval 1.2 or newer: python tests/goldens/make_metrics.py
"""

import json
import pathlib

import numpy as np
import seqeval.metrics
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
        "truth": [x.item() for x in np.asarray(truth).reshape(-1)],
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
