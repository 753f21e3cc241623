"""Measures mtlc and its peers in turns and writes a table. `README.md` says what is measured, and how.

    python tests/bench/run.py [--only WORD] [--rounds R] [--seconds S] [--write FILE] [--mtlc BINARY]
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass

THREADS = 2
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(THREADS)

import numpy as np
import onnxruntime
import torch

import peers

BEGIN, END = "<!-- table -->\n", "<!-- end of the table -->\n"


@dataclass
class Workload:
    name: str
    spec: str
    mode: str
    batch: int
    peers: tuple
    # The ratio to the best of the peers that is aimed at.
    goal: float
    memory: bool = False


TORCH, LAST, COMPILED, ORT = "PyTorch", "PyTorch channels_last", "torch.compile", "ONNX Runtime"
PEERS = (TORCH, LAST, COMPILED, ORT)
WORKLOADS = [
    Workload("MLP 784-512-512-10, training step, batch 128", "mlp", "train", 128, (TORCH, COMPILED), 1.4),
    Workload("MLP 784-512-512-10, inference, batch 1", "mlp", "serve", 1, (TORCH, ORT), 1.5),
    Workload("encoder 6×384, sequence 128, inference, batch 1", "encoder", "serve", 1, (TORCH, ORT), 1.3),
    Workload("encoder 6×384, sequence 128, inference, batch 8", "encoder", "serve", 8, (TORCH, ORT), 1.1),
    Workload("encoder 6×384, sequence 128, training step, batch 8", "encoder", "train", 8, (TORCH, COMPILED), 1.2),
    Workload("small CNN 28×28, training step, batch 64", "cnn", "train", 64, (TORCH, LAST, COMPILED), 1.5),
    Workload("ResNet-18 224, inference, batch 1", "resnet18", "serve", 1, (TORCH, LAST, ORT), 1.4),
    Workload("ResNet-18 224, inference, batch 8", "resnet18", "serve", 8, (TORCH, LAST, ORT), 1.6),
    Workload("ResNet-18 224, training step, batch 8", "resnet18", "train", 8, (TORCH, LAST, COMPILED), 1.3, memory=True),
    Workload("EfficientNet-Lite0 224, inference, batch 1", "efficientnet_lite0", "serve", 1, (TORCH, LAST, ORT), 1.2),
    Workload("EfficientNet-Lite0 224, inference, batch 8", "efficientnet_lite0", "serve", 8, (TORCH, LAST, ORT), 1.2),
    Workload("three heads on ResNet-18 224, batch 1, against three models", "three_heads", "serve", 1, (ORT,), 2.5),
    Workload("three heads on ResNet-18 224, batch 8, against three models", "three_heads", "serve", 8, (ORT,), 2.5),
]
# What mtlc's growth over a PyTorch training step's shall be at most.
MEMORY_GOAL = 0.6


def open_peer(name, work, mtlc):
    if name == ORT:
        return peers.OnnxRuntime(work.spec, mtlc.weights, mtlc.rows, THREADS)
    fast = {"channels_last": name == LAST, "compiled": name == COMPILED}
    return peers.Torch(work.spec, work.mode, mtlc.weights, mtlc.rows, **fast)


def check_equal(work, name, ours, theirs):
    """Equal work: the same answers, or the same first objectives, to a thousandth of the largest."""
    assert ours.shape == theirs.shape, f"{work.name}: {name} answers {theirs.shape}, mtlc {ours.shape}"
    error = float(np.abs(ours - theirs).max() / max(1e-12, np.abs(theirs).max()))
    assert error <= 1e-3, f"{work.name}: {name} differs from mtlc by {error:.1e}"
    return error


def busy():
    """Seconds that all processors have been busy so far."""
    with open("/proc/stat") as file:
        times = [int(word) for word in file.readline().split()[1:]]
    return (sum(times[:8]) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")


def quiet(args):
    """Waits until the machine has been quiet for a pause, or patience ends; whether it is quiet.

    In the pause, threads of whoever ran before, which spin for work, go to sleep too.
    """
    end = time.monotonic() + args.patience
    while True:
        before = busy()
        time.sleep(args.pause)
        if busy() - before < 0.15 * args.pause * os.cpu_count():
            return True
        if time.monotonic() >= end:
            return False


def run(work, args):
    """A row of the table, and notes."""
    mtlc = peers.Mtlc(args.mtlc, work.spec, work.mode, work.batch, THREADS)
    others, absent, notes, error = {}, set(), [], 0.0
    for name in work.peers:
        try:
            peer = open_peer(name, work, mtlc)
        except peers.Unavailable as wrong:
            notes.append(f"{work.name}: {name} does not work here: {wrong}")
            absent.add(name)
            continue
        error = max(error, check_equal(work, name, mtlc.first, peer.first))
        if getattr(peer, "note", None):
            notes.append(f"{work.name}: {peer.note}")
        others[name] = peer
    everyone = {"mtlc": mtlc, **others}
    least, calm = dict.fromkeys(everyone, float("inf")), 0
    for round in range(args.rounds):
        # Who begins changes, so that none always follows the same other.
        order = list(everyone)[round % len(everyone) :] + list(everyone)[: round % len(everyone)]
        for name in order:
            calm += quiet(args)
            least[name] = min(least[name], everyone[name].measure(args.seconds))
    mtlc.close()
    gflops = mtlc.facts["flops"] / 1e6 / least["mtlc"]
    cells = [work.name, f"**{ms(least['mtlc'])}**", f"{gflops:.1f}"]
    for name in PEERS:
        measured = f"{ms(least[name])} ({ratio(least[name], least['mtlc'])})" if name in others else ""
        cells.append("does not work here" if name in absent else measured)
    best = min((least[name] for name in others), default=None)
    cells += [ratio(best, least["mtlc"]) if best else "", f"{work.goal:.1f}×", f"{error:.0e}", f"{calm}/{args.rounds * len(everyone)}"]
    if work.memory:
        notes.append(memory(work, args))
    return "| " + " | ".join(cells) + " |", notes


def ms(x):
    return f"{x:.3g} ms" if x < 1000 else f"{x:.0f} ms"


def ratio(theirs, ours):
    return f"{theirs / ours:.2f}×"


# A process counts as its own what the process it was forked from had resident, so a small one starts it.
PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
text = process.stdout.read().decode()
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_maxrss * 1024, text)
"""


def peak(command):
    """Peak resident bytes of a command, and what it printed."""
    text = subprocess.run([sys.executable, "-S", "-c", PEAK, *command], stdout=subprocess.PIPE, text=True, check=True).stdout
    status, most, printed = text.split(" ", 2)
    assert status == "0", f"{command} failed"
    return int(most), printed


def memory(work, args):
    """How much each process grows by a few training steps, over what it takes before there is a model."""
    ours, _ = peak([*peers.command(args.mtlc, work.spec, work.mode, work.batch), "--steps", "1"])
    base, _ = peak([args.mtlc, "check", peers.path(work.spec)])
    ours -= base
    most, base = peak([sys.executable, os.path.abspath(__file__), "--memory-of", work.spec, str(work.batch)])
    theirs = most - int(base)
    return (
        f"{work.name}: memory grows by {ours / 1e6:.0f} MB for mtlc and by {theirs / 1e6:.0f} MB for PyTorch: "
        f"{ours / theirs:.2f}× (goal: at most {MEMORY_GOAL}×)"
    )


def memory_of(spec, batch):
    """A few training steps of a fresh twin; prints the resident bytes before."""
    import twins

    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    model = getattr(twins, spec)().train()
    optimizer = twins.optimizer(spec, model)
    for _ in range(peers.WARM_UP + 1):
        optimizer.zero_grad(set_to_none=True)
        x, y = torch.randn(batch, 3, 224, 224), torch.zeros(batch, dtype=torch.long)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def processor():
    with open("/proc/cpuinfo") as file:
        lines = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        file.seek(0)
        flags = next((line for line in file if line.startswith("flags")), "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{lines[0] if lines else platform.processor()} with {vectors}, {os.cpu_count()} logical processors"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only workloads whose name contains this")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a burst")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between bursts")
    parser.add_argument("--patience", type=float, default=10, help="seconds to wait for a quiet machine before a burst")
    parser.add_argument("--write", metavar="FILE", help="put the rows between the markers of this file")
    parser.add_argument("--mtlc", default=os.path.join(peers.HERE, "..", "..", "target", "release", "mtlc"))
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    if args.memory_of:
        return memory_of(args.memory_of[0], int(args.memory_of[1]))
    if not os.path.exists(args.mtlc):
        raise SystemExit(f"there is no {args.mtlc}: run `cargo build --release`, or name one with --mtlc")
    commit = subprocess.run(["git", "-C", peers.HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    heading = (
        f"{datetime.date.today()}, commit {commit.stdout.strip() or 'unknown'}. {processor()}; {THREADS} threads each. "
        f"PyTorch {torch.__version__.split('+')[0]}, ONNX Runtime {onnxruntime.__version__}. Minima over {args.rounds} "
        f"rounds of bursts of {args.seconds} s.\n\n"
        f"| workload | mtlc | GFLOP/s | {' | '.join(PEERS)} | best peer | goal | difference | quiet |\n"
        f"| --- | {' | '.join(['--:'] * (len(PEERS) + 6))} |\n"
    )
    before, found, behind = divide(args.write)
    for work in WORKLOADS:
        if args.only in work.name:
            row, more = run(work, args)
            found[work.name] = row, more
            print(row, *more, sep="\n", file=sys.stderr, flush=True)
    rows = [found[work.name] for work in WORKLOADS if work.name in found]
    table = heading + "".join(row + "\n" for row, _ in rows)
    notes = "".join(f"- {note}\n" for _, notes in rows for note in notes)
    text = table + ("\n" + notes if notes else "")
    if not args.write:
        return print(text, end="")
    with open(args.write, "w") as file:
        file.write(before + BEGIN + "\n" + text + "\n" + END + behind)


def divide(path):
    """What stands before the table of a file, its rows and notes by workload, and what stands behind."""
    if not path:
        return "", {}, ""
    with open(path) as file:
        before, rest = file.read().split(BEGIN)
    table, behind = rest.split(END)
    lines, found = table.splitlines(), {}
    for work in WORKLOADS:
        row = [line for line in lines if line.startswith(f"| {work.name} |")]
        notes = [line.removeprefix("- ") for line in lines if line.startswith(f"- {work.name}: ")]
        if row:
            found[work.name] = row[0], notes
    return before, found, behind


if __name__ == "__main__":
    main()
