"""Transfer learning as it is done by hand, against `specs/fashion_transfer.mtl`. `README.md` says what is measured.

    python tests/bench/transfer.py [--rounds R] [--mtlc BINARY] [--write FILE]

It needs `specs/fetch.sh lite0 fashion` and the peers of `peers.sh`.
"""

import argparse
import datetime
import gzip
import json
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASSETS = ROOT / "specs" / "assets"
FASHION = ASSETS / "fashion"
WEIGHTS = ASSETS / "efficientnet-lite0-57934424.pth"
TRAIN, TEST, EPOCHS, BATCH, THREADS, SEEDS = 2000, 2000, 10, 64, 2, 5
# Where features are computed in every epoch, all take the same time: so many are measured.
MEASURED = 2
BEGIN, END = "<!-- transfer -->\n", "<!-- end of transfer -->\n"


def idx(name):
    import numpy as np

    data = gzip.decompress((FASHION / name).read_bytes())
    rank = data[3]
    dims = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(dims)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())


def peer(how):
    """The recipe in PyTorch, as a process of its own: prints its seconds and growth as JSON, or for `score` the accuracies."""
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    import torch
    import torch.nn.functional as F
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(THREADS)
    images, labels = idx("train-images-idx3-ubyte.gz")[:TRAIN], idx("train-labels-idx1-ubyte.gz")[:TRAIN]
    images, labels = torch.tensor(images), torch.tensor(labels).long()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    trunk = EfficientNet.from_name("efficientnet-lite0")
    trunk.load_state_dict(torch.load(WEIGHTS))
    trunk = trunk.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def features(rows):
        x = F.interpolate(rows[:, None].float(), size=(224, 224), mode="bilinear", align_corners=False)
        x = ((x - 127) / 128).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            x = trunk.extract_features(x)
        return x.mean((2, 3)).clone()

    def trained(kept, epochs=EPOCHS):
        head = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(1280, 10))
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
        for _ in range(epochs):
            for rows in torch.randperm(TRAIN).split(BATCH):
                x = features(images[rows]) if kept is None else kept[rows]
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(head(x), labels[rows]).backward()
                optimizer.step()
        return head.eval()

    def once(images):
        return torch.cat([features(rows) for rows in images.split(BATCH)])

    if how == "score":
        kept, test = once(images), once(torch.tensor(idx("t10k-images-idx3-ubyte.gz")[:TEST]))
        answers = torch.tensor(idx("t10k-labels-idx1-ubyte.gz")[:TEST]).long()
        accuracies = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            accuracies.append((trained(kept)(test).argmax(1) == answers).float().mean().item())
        print(json.dumps(accuracies))
    else:
        torch.manual_seed(0)
        began = time.perf_counter()
        if how == "once":
            trained(once(images))
        else:
            trained(None, MEASURED)
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        training = (time.perf_counter() - began) * (EPOCHS / MEASURED if how == "each" else 1)
        print(json.dumps([began - start + training, growth]))


def mtlc(binary, work, seed, test):
    """`mtlc run` on the same rows: seconds and growth of the whole process, and where `test`, the accuracy."""
    if not (work / "timed.mtl").exists():
        (work / "assets").symlink_to(ASSETS)
        write_idx(work / "images", idx("train-images-idx3-ubyte.gz")[:TRAIN])
        write_idx(work / "labels", idx("train-labels-idx1-ubyte.gz")[:TRAIN])
        write_idx(work / "test_images", idx("t10k-images-idx3-ubyte.gz")[:TEST])
        write_idx(work / "test_labels", idx("t10k-labels-idx1-ubyte.gz")[:TEST])
        text = (ROOT / "specs" / "fashion_transfer.mtl").read_text()
        (work / "tested.mtl").write_text(text)
        # Without files for testing, so that the clock sees the training alone, as on the other side.
        (work / "timed.mtl").write_text(re.sub(r"  test_(images|labels): .*\n", "", text))
    command = [binary, "run", "tested.mtl" if test else "timed.mtl", "--json", "--threads", str(THREADS)]
    settings = {"train.epochs": EPOCHS, "train.batch": BATCH, "train.seed": seed, "data.fashion.split": "[1.0]"}
    settings |= {"data.fashion.images": '"images"', "data.fashion.labels": '"labels"'}
    if test:
        settings |= {f"data.fashion.test_{name}": f'"test_{name}"' for name in ("images", "labels")}
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    if not test:
        shutil.rmtree(work / "target", ignore_errors=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, out
    if test:
        return json.loads(out)["runs"][0]["results"]["test"]["metrics"]["accuracy(label)"]
    return seconds, usage.ru_maxrss * 1024


def process(how):
    return json.loads(subprocess.run([sys.executable, __file__, "--peer", how], check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--mtlc", default=str(ROOT / "target" / "release" / "mtlc"))
    parser.add_argument("--write")
    parser.add_argument("--peer", choices=["each", "once", "score"])
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments.peer)
    work = pathlib.Path(tempfile.mkdtemp())
    found = {"mtlc": [], "each": [], "once": []}
    for _ in range(arguments.rounds):
        found["mtlc"].append(mtlc(arguments.mtlc, work, 0, False))
        for how in ("each", "once"):
            found[how].append(process(how))
        print({name: rows[-1] for name, rows in found.items()}, file=sys.stderr)
    ours = [mtlc(arguments.mtlc, work, seed, True) for seed in range(SEEDS)]
    theirs = process("score")
    shutil.rmtree(work)
    table = render(found, ours, theirs)
    if arguments.write:
        path = pathlib.Path(arguments.write)
        head, rest = path.read_text().split(BEGIN, 1)
        path.write_text(head + BEGIN + "\n" + table + "\n" + END + rest.split(END, 1)[1])
    else:
        print(table)


def render(found, ours, theirs):
    names = {
        "mtlc": "`mtlc run`, process and all",
        "each": f"PyTorch, features in every epoch ({MEASURED} of {EPOCHS} measured)",
        "once": "PyTorch, features computed before by hand",
    }
    best = {name: min(seconds for seconds, _ in rows) for name, rows in found.items()}
    today = datetime.date.today().isoformat()
    lines = [
        f"{today}, minima of {len(found['mtlc'])} rounds, {THREADS} threads each; accuracies over {SEEDS} seeds.",
        "",
        f"| recipe, {TRAIN} images, {EPOCHS} epochs | seconds | against mtlc | memory | test accuracy, mean (least to most) |",
        "| --- | --: | --: | --: | --: |",
    ]
    for name, rows in found.items():
        memory = min(growth for _, growth in rows) / 1e6
        scores = ours if name == "mtlc" else theirs
        told = f"{sum(scores) / SEEDS:.4f} ({min(scores):.4f} to {max(scores):.4f})"
        lines.append(f"| {names[name]} | {best[name]:.1f} | {best[name] / best['mtlc']:.1f}× | {memory:.0f} MB | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
