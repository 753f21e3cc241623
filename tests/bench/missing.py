"""Half of the labels of each task of `specs/tumour.mtl` taken away at random: losses that pass over what is missing, against training
on the rows that still have every label, and against all labels. Prints a table: means over seeds, with 95 % confidence intervals.

    python tests/bench/missing.py [--mtlc BINARY] [--seeds N] [--fraction F] [--threads N]

A seed decides the split, the labels that go, the first weights and the order of the rows; the ways see the same of each.
"""

import argparse
import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

TARGETS = ["malignant", "radius", "texture"]
WAYS = {
    "all labels": dict(forgets=False, complete=False, epochs=100),
    "masks: each task on the rows that have its label": dict(forgets=True, complete=False, epochs=100),
    "complete rows only": dict(forgets=True, complete=True, epochs=100),
    # An eighth of the rows: about as many steps as the others take.
    "complete rows only, 650 epochs": dict(forgets=True, complete=True, epochs=650),
}
# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 14: 2.145, 19: 2.093}


def spec(folder, seed, fraction):
    """`tumour.mtl` with a `forget` behind each target."""
    source = Path(__file__).parents[2] / "specs/tumour.mtl"
    lines, found = [], []
    for line in source.read_text().splitlines():
        name, _, value = line.strip().partition(" ")
        if name in TARGETS and value.lstrip().startswith("= column("):
            found.append(name)
            line += f" -> forget({fraction}, seed: {100 * seed + TARGETS.index(name)})"
        lines.append(line.replace("data/", f"{source.parent}/data/"))
    assert found == TARGETS, found
    path = Path(folder) / "tumour.mtl"
    path.write_text("\n".join(lines) + "\n")
    return path


def train(args, way, seed):
    """Test metrics, and the rows with each label that the last epoch met."""
    with tempfile.TemporaryDirectory() as folder:
        path = spec(folder, seed, args.fraction if WAYS[way]["forgets"] else 0)
        complete = str(WAYS[way]["complete"]).lower()
        command = [args.mtlc, "run", path, "--json", "--runs", folder, "--threads", str(args.threads)]
        epochs = WAYS[way]["epochs"]
        for setting in [f"data.wdbc.seed={seed}", f"train.seed={seed}", f"train.complete={complete}", f"train.epochs={epochs}"]:
            command += ["--set", setting]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        run = json.loads(done.stdout)["runs"][0]
        last = (Path(run["run"]) / "metrics.jsonl").read_text().splitlines()[-1]
        return run["results"]["test"]["metrics"], json.loads(last)["train"]["labels"]


def interval(values):
    """Mean and half of its 95 % confidence interval."""
    if len(values) < 2:
        return statistics.mean(values), math.nan
    return statistics.mean(values), T95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mtlc", default="target/release/mtlc")
    parser.add_argument("--seeds", type=int, default=5, choices=[n + 1 for n in T95])
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    results = {way: [train(args, way, seed) for seed in range(1, args.seeds + 1)] for way in WAYS}
    names = list(results["all labels"][0][0])
    print("| training | labels met by a task in an epoch |", " | ".join(f"`{name}`" for name in names), "|")
    print("| --- | --: |", " | ".join("--:" for _ in names), "|")
    for way, runs in results.items():
        met = [count for _, labels in runs for count in labels.values()]
        cells = [f"{statistics.mean(met):.0f}"]
        cells += ["{:.4f} ± {:.4f}".format(*interval([metrics[name] for metrics, _ in runs])) for name in names]
        print(f"| {way} |", " | ".join(cells), "|")
    masks = results["masks: each task on the rows that have its label"]
    for way in [way for way in WAYS if WAYS[way]["complete"]]:
        pairs = list(zip(masks, results[way]))
        differences = [[ours[name] - theirs[name] for (ours, _), (theirs, _) in pairs] for name in names]
        cells = ["{:+.4f} ± {:.4f}".format(*interval(values)) for values in differences]
        print(f"| masks less {way}, seed by seed | |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
