"""Trains `winograd.mtl` without Winograd and with tiles of 2×2 and 4×4, in turns for each seed, and prints what each run came to.

    python tests/bench/winograd.py [--mtlc BINARY] [--seeds N] [--epochs N] [--threads N]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

WAYS = ["off", "f2", "f4"]
FIGURES = {
    "training loss": lambda r: r["train"]["objective"],
    "validation loss": lambda r: r["validation"]["objective"],
    "validation accuracy": lambda r: r["validation"]["metrics"]["accuracy(label)"],
}


def train(args, way, seed, folder):
    """What the run recorded of its last epoch."""
    spec = Path(__file__).with_name("winograd.mtl")
    settings = {"winograd": way, "seed": seed, "epochs": args.epochs}
    command = [args.mtlc, "run", spec, "--runs", folder, "--threads", str(args.threads)]
    for name, value in settings.items():
        command += ["--set", f"train.{name}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [metrics] = Path(folder).glob("*/*/metrics.jsonl")
    return json.loads(metrics.read_text().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mtlc", default="target/release/mtlc")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    rows = {way: [] for way in WAYS}
    for seed in range(1, args.seeds + 1):
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                results = train(args, way, seed, folder)
            rows[way].append([figure(results) for figure in FIGURES.values()])
            print(seed, way, *(f"{x:.5f}" for x in rows[way][-1]), flush=True)
    print("\n| winograd |", " | ".join(f"{name}, mean ± spread | of each seed" for name in FIGURES), "|")
    print("| --- |", " | ".join("--: | --:" for _ in FIGURES), "|")
    for way in WAYS:
        cells = []
        for values in zip(*rows[way]):
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells += [f"{statistics.mean(values):.4f} ± {spread:.4f}", " ".join(f"{x:.4f}" for x in values)]
        print(f"| `{way}` |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
