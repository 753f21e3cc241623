"""What is measured: mtlc and its peers, behind one interface.

Each has `measure(seconds)`, the least milliseconds of a burst that takes about as long, and `first`, what it gave for the
rows at the start: the answers, or the objectives of the first steps. Nothing of the numbers is made here: weights and rows
come from `mtlc bench --dump`.
"""

import json
import os
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

import twins

HERE = os.path.dirname(os.path.abspath(__file__))
WARM_UP = 3


def burst(once, seconds):
    """The least milliseconds of as many calls as fit, at least one."""
    least, end = float("inf"), time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        once()
        now = time.perf_counter()
        least = min(least, now - began)
        if now >= end:
            return least * 1e3


def command(mtlc, spec, mode, batch):
    path = os.path.join(HERE, "specs", spec + ".mtl")
    return [mtlc, "bench", path, "--mode", mode, "--batch", str(batch), "--warmup", str(WARM_UP)]


class Mtlc:
    """mtlc in a process of its own, which waits between bursts."""

    def __init__(self, mtlc, spec, mode, batch, threads):
        with tempfile.TemporaryDirectory() as folder:
            dump = os.path.join(folder, "dump.safetensors")
            self.process = subprocess.Popen(
                [*command(mtlc, spec, mode, batch), "--threads", str(threads), "--interactive", "--dump", dump],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.facts = self.read()
            tensors = load_file(dump)
        part = lambda prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        self.weights, self.rows = part("weights/"), part("rows/")
        self.first = tensors["objectives"] if mode == "train" else part("answers/")["label"]
        self.guess = self.ask(1)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("mtlc ended early")
        return json.loads(line)

    def ask(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.read()["min_ms"]

    def measure(self, seconds):
        self.guess = self.ask(max(1, min(100_000, round(seconds * 1e3 / self.guess))))
        return self.guess

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    """PyTorch eager, contiguous or channels_last."""

    def __init__(self, spec, mode, weights, rows, channels_last=False):
        self.model = twins.loaded(spec, weights)
        x, y = (torch.from_numpy(rows[name]) for name in self.names(rows))
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        self.x, self.y = x, y.long()
        if mode == "train":
            self.model.train()
            self.optimizer = twins.optimizer(spec, self.model)
            self.once = self.step
            self.first = np.array([self.step() for _ in range(WARM_UP)])
        else:
            self.model.eval()
            self.once = self.answer
            self.first = [self.answer() for _ in range(WARM_UP)][0].numpy()

    @staticmethod
    def names(rows):
        """The input, then the target, which alone is a list of numbers."""
        return sorted(rows, key=lambda name: -rows[name].ndim)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def answer(self):
        with torch.inference_mode():
            return self.model(self.x)

    def measure(self, seconds):
        return burst(self.once, seconds)


class NotExported(Exception):
    """The twin could not be brought into the form that a peer reads."""


class OnnxRuntime:
    """ONNX Runtime on the exported twin, at its highest level of optimisation; transformers are fused by its own tool."""

    def __init__(self, spec, weights, rows, threads):
        model = twins.loaded(spec, weights).eval()
        x = rows[Torch.names(rows)[0]]
        self.note = None
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            try:
                torch.onnx.export(model, (torch.from_numpy(x),), path, input_names=["x"], dynamo=True, verbose=False)
                path = self.fuse(path) if spec == "encoder" else path
            except Exception as wrong:
                raise NotExported(str(wrong).splitlines()[0]) from wrong
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: x}
        self.first = [self.once() for _ in range(WARM_UP)][0]

    def fuse(self, path):
        from onnxruntime.transformers import optimizer

        fused = optimizer.optimize_model(path, model_type="bert", num_heads=12, hidden_size=384)
        found = {name: n for name, n in fused.get_fused_operator_statistics().items() if n}
        self.note = "ONNX Runtime fused " + (", ".join(f"{n} {name}" for name, n in found.items()) or "nothing")
        fused.save_model_to_file(path + ".fused")
        return path + ".fused"

    def once(self):
        return self.session.run(None, self.feed)[0]

    def measure(self, seconds):
        return burst(self.once, seconds)
