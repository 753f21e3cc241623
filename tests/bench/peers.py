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


def path(spec):
    return os.path.join(HERE, "specs", spec + ".mtl")


def command(mtlc, spec, mode, batch):
    return [mtlc, "bench", path(spec), "--mode", mode, "--batch", str(batch), "--warmup", str(WARM_UP)]


def answer(heads):
    """The answers of all heads beside each other, in the order in which the twin gives them."""
    if "label" in heads:
        return heads["label"]
    return np.concatenate([heads[name] for name in ("kinds", "breeds", "places")], 1)


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
        self.first = tensors["objectives"] if mode == "train" else answer(part("answers/"))
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


class Unavailable(Exception):
    """The peer does not work here, or not with this twin."""


class Torch:
    """PyTorch, contiguous or channels_last, eager or compiled."""

    def __init__(self, spec, mode, weights, rows, channels_last=False, compiled=False):
        self.model = twins.loaded(spec, weights)
        x, y = (torch.from_numpy(rows[name]) for name in self.names(rows)[:2])
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        self.x, self.y = x, y.long()
        if compiled:
            self.model.compile()
            try:
                # The compiler runs at the first call, which must move nothing.
                self.model.train(mode == "train")
                kept = [*self.model.parameters(), *self.model.buffers()]
                before = [tensor.detach().clone() for tensor in kept]
                self.model(self.x).sum().backward()
                with torch.no_grad():
                    for tensor, first in zip(kept, before):
                        tensor.copy_(first)
                self.model.zero_grad(set_to_none=True)
            except Exception as wrong:
                raise Unavailable(first_line(wrong)) from wrong
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


def first_line(wrong):
    return (str(wrong).splitlines() or [type(wrong).__name__])[0]


class OnnxRuntime:
    """ONNX Runtime on the exported twin, at its highest level of optimisation; transformers are fused by its own tool.

    A twin of several heads becomes as many models, which run one after the other: that is what one trunk saves.
    """

    def __init__(self, spec, weights, rows, threads):
        model = twins.loaded(spec, weights).eval()
        x = rows[Torch.names(rows)[0]]
        self.note = None
        parts = model.alone() if hasattr(model, "alone") else [model]
        self.sessions = [self.session(spec, part.eval(), x, threads, len(parts) > 1) for part in parts]
        self.feeds = [{session.get_inputs()[0].name: x} for session in self.sessions]
        self.first = np.concatenate([self.once() for _ in range(WARM_UP)][0], 1)

    def session(self, spec, model, x, threads, several):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            try:
                torch.onnx.export(model, (torch.from_numpy(x),), path, input_names=["x"], dynamo=True, verbose=False)
                path = self.fuse(path) if spec == "encoder" else path
            except Exception as wrong:
                raise Unavailable(first_line(wrong)) from wrong
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            if several:
                # Threads of models that wait for their turn would spin, and take the processors from the one that runs.
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def fuse(self, path):
        from onnxruntime.transformers import optimizer

        fused = optimizer.optimize_model(path, model_type="bert", num_heads=12, hidden_size=384)
        found = {name: n for name, n in fused.get_fused_operator_statistics().items() if n}
        self.note = "ONNX Runtime fused " + (", ".join(f"{n} {name}" for name, n in found.items()) or "nothing")
        fused.save_model_to_file(path + ".fused")
        return path + ".fused"

    def once(self):
        return [session.run(None, feed)[0] for session, feed in zip(self.sessions, self.feeds)]

    def measure(self, seconds):
        return burst(self.once, seconds)
