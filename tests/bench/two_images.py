"""Balancers on two articles of Fashion-MNIST in one image: `two_images.mtl` with each of them, over seeds. `README.md` says more.

    python tests/bench/two_images.py [--mtlc BINARY] [--seeds N] [--epochs N] [--train ROWS] [--keep FILE] [--write FILE]

It needs numpy, and the images of `specs/fetch.sh fashion`. What `--keep` names takes every result as it comes, and is gone on
with. The images are put together as by Sener and Koltun (2018): 36×36 zeros, the left article from (0, 0), the right one from
(8, 8), the maximum where they meet, then the nearest of 28×28 places.
"""

import argparse
import gzip
import json
import math
import pathlib
import re
import statistics
import struct
import subprocess
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FASHION = ROOT / "specs" / "assets" / "fashion"
SPEC = pathlib.Path(__file__).with_name("two_images.mtl")
BEGIN, END = "<!-- two images -->\n", "<!-- end of two images -->\n"
WAYS = [
    "single",
    "uniform",
    "log",
    "uncertainty",
    "dwa",
    "famo",
    "mgda",
    "pcgrad",
    "cagrad",
    "imtl_g",
    "nash",
    "aligned",
    "upgrad",
]
# Student's t at 97.5 %, by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def idx(name):
    data = gzip.decompress((FASHION / name).read_bytes())
    dims = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dims)


def pairs(images, labels, generator):
    """Each image with a partner from the same rows."""
    partner = generator.permutation(len(images))
    both = np.zeros((len(images), 36, 36), np.uint8)
    both[:, :28, :28] = images
    both[:, 8:, 8:] = np.maximum(both[:, 8:, 8:], images[partner])
    # `nearest` as in SciPy's `imresize`: the pixel in the middle of each of 28 parts.
    place = ((np.arange(28) + 0.5) * 36 / 28).astype(int)
    return both[:, place][:, :, place][:, None], labels, labels[partner]


def write_data(folder, rows):
    """The first 50,000 training images, or fewer of them, train; the last 10,000 validate; partners come from the same split."""
    generator = np.random.default_rng(0)
    images, labels = idx("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz")
    test = idx("t10k-images-idx3-ubyte.gz"), idx("t10k-labels-idx1-ubyte.gz")
    splits = {
        "train": (images[:rows], labels[:rows]),
        "validation": (images[50000:], labels[50000:]),
        "test": test,
    }
    for name, (images, labels) in splits.items():
        image, left, right = pairs(images, labels, generator)
        np.savez(folder / f"{name}.npz", image=image, left=left.astype(np.int64), right=right.astype(np.int64))


def spec(way, side=None):
    text = SPEC.read_text()
    if way not in ("single", "uniform"):
        return text.replace("\nmeasure", f"\nbalance  {way}\nmeasure")
    if side is None:
        return text
    head, target = side
    other_head, other_target = ("two", "right") if head == "one" else ("one", "left")
    lines = [line for line in text.splitlines() if not re.match(rf"head {other_head}|target {other_target}:", line)]
    lines = [line for line in lines if not re.match(rf"  {other_target} ", line)]
    text = "\n".join(lines) + "\n"
    text = re.sub(r"minimize .*", f"minimize cross_entropy({head}, {target})", text)
    return re.sub(r"measure .*", f"measure  accuracy({head}, {target})", text)


def train(args, folder, text, seed):
    path = folder / "spec.mtl"
    path.write_text(text)
    command = [args.mtlc, "run", path, "--runs", folder / "runs", "--json", "--threads", str(args.threads)]
    command += ["--set", f"train.seed={seed}", "--set", f"train.epochs={args.epochs}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit((done.stdout + done.stderr).decode())
    [run] = json.loads(done.stdout)["runs"]
    history = pathlib.Path(folder / run["run"] / "metrics.jsonl").read_text().splitlines()
    seconds = sum(json.loads(line)["seconds"] for line in history)
    return list(run["results"]["test"]["metrics"].values()), seconds


def result(args, folder, way, seed):
    if way != "single":
        return train(args, folder, spec(way), seed)
    values = [train(args, folder, spec(way, side), seed) for side in (("one", "left"), ("two", "right"))]
    return [value for metrics, _ in values for value in metrics], sum(seconds for _, seconds in values)


def interval(values):
    return T.get(len(values) - 1, 1.96) * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def table(args, results):
    lines = [
        f"{args.train} images to train on, {args.epochs} epochs, {args.seeds} seeds; test accuracy in % with 95 % intervals.",
        "",
        "| | left | right | mean of both | Δm against single tasks, higher is better | time against uniform |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    single = [statistics.mean(r["test"][i] for r in results["single"]) for i in range(2)]
    seconds = statistics.median(r["seconds"] for r in results["uniform"])
    for way in WAYS:
        rows = results.get(way, [])
        if not rows:
            continue
        cells = []
        for values in ([r["test"][0] for r in rows], [r["test"][1] for r in rows], [sum(r["test"]) / 2 for r in rows]):
            cells.append(f"{100 * statistics.mean(values):.2f} ± {100 * interval(values):.2f}")
        gain = [100 * statistics.mean(x / s - 1 for x, s in zip(r["test"], single)) for r in rows]
        cells.append(f"{statistics.mean(gain):+.2f} ± {interval(gain):.2f} %")
        cells.append(f"{statistics.median(r['seconds'] for r in rows) / seconds:.2f}×")
        lines.append(f"| {'one model a task' if way == 'single' else f'`{way}`'} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mtlc", default=ROOT / "target" / "release" / "mtlc", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--train", type=int, default=50000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", nargs="*", default=WAYS)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--write", type=pathlib.Path)
    args = parser.parse_args()
    args.mtlc = args.mtlc.resolve()
    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_data(folder, args.train)
        for seed in range(1, args.seeds + 1):
            for way in args.ways:
                key = f"{way} {seed} {args.epochs} {args.train}"
                if key not in kept:
                    test, seconds = result(args, folder, way, seed)
                    kept[key] = {"way": way, "test": test, "seconds": seconds}
                    if args.keep:
                        args.keep.write_text(json.dumps(kept, indent=1))
                print(key, *(f"{x:.4f}" for x in kept[key]["test"]), f"{kept[key]['seconds']:.1f} s", flush=True)
    results = {}
    for seed in range(1, args.seeds + 1):
        for way in args.ways:
            results.setdefault(way, []).append(kept[f"{way} {seed} {args.epochs} {args.train}"])
    text = table(args, results)
    print(text)
    if args.write:
        old = args.write.read_text()
        begin, end = old.index(BEGIN) + len(BEGIN), old.index(END)
        args.write.write_text(f"{old[:begin]}\n{text}\n{old[end:]}")


if __name__ == "__main__":
    main()
