"""Writes optimizers.json: what torch.optim and torch.nn.utils do on fixed gradients, for tests/parts.rs.

Run with PyTorch 2: python tests/goldens/make_optimizers.py
"""

import json
import pathlib

import torch

STEPS, SIZE = 8, 5
torch.manual_seed(7)
START = torch.randn(SIZE)
GRADIENTS = [torch.randn(SIZE) * 10 ** (i % 3 - 1) for i in range(STEPS)]

# Name in a spec, arguments in a spec, optimizer in PyTorch. The rate is halved after step 5, as a schedule would.
CASES = [
    ("sgd", {"lr": 0.1}, torch.optim.SGD),
    ("sgd", {"lr": 0.1, "weight_decay": 0.05}, torch.optim.SGD),
    ("sgd", {"lr": 0.1, "momentum": 0.9}, torch.optim.SGD),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}, torch.optim.SGD),
    ("sgd", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}, torch.optim.SGD),
    ("adam", {}, torch.optim.Adam),
    ("adam", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "weight_decay": 0.1}, torch.optim.Adam),
    ("adamw", {}, torch.optim.AdamW),
    ("adamw", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "weight_decay": 0.1}, torch.optim.AdamW),
    ("rmsprop", {"lr": 0.01}, torch.optim.RMSprop),
    ("rmsprop", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}, torch.optim.RMSprop),
    ("rmsprop", {"lr": 0.01, "alpha": 0.9, "centered": True, "epsilon": 1e-3}, torch.optim.RMSprop),
    ("rmsprop", {"lr": 0.01, "alpha": 0.9, "centered": True, "momentum": 0.5}, torch.optim.RMSprop),
]


def numbers(tensor):
    return [float(x) for x in tensor.detach().reshape(-1)]


def trajectory(arguments, make):
    arguments = dict(arguments)
    renamed = {"eps": arguments.pop("epsilon", 1e-8)} if make is not torch.optim.SGD else {}
    if make in (torch.optim.Adam, torch.optim.AdamW):
        renamed["betas"] = (arguments.pop("beta1", 0.9), arguments.pop("beta2", 0.999))
    weight = torch.nn.Parameter(START.clone())
    optimizer = make([weight], foreach=False, **arguments, **renamed)
    steps = []
    for i, gradient in enumerate(GRADIENTS):
        if i == 5:
            optimizer.param_groups[0]["lr"] /= 2
        weight.grad = gradient.clone()
        optimizer.step()
        steps.append(numbers(weight))
    state = optimizer.state[weight]
    slots = {name: numbers(value) for name, value in state.items() if name != "step" and value is not None}
    return {"steps": steps, "slots": slots}


def clipped(most):
    weights = [torch.nn.Parameter(torch.zeros(SIZE)) for _ in GRADIENTS]
    for weight, gradient in zip(weights, GRADIENTS):
        weight.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(weights, most)
    return {"max": most, "norm": float(norm), "gradients": [numbers(weight.grad) for weight in weights]}


golden = {
    "start": numbers(START),
    "gradients": [numbers(gradient) for gradient in GRADIENTS],
    "cases": [{"name": n, "arguments": a, **trajectory(a, make)} for n, a, make in CASES],
    "clip_norm": [clipped(1.0), clipped(1000.0)],
}
path = pathlib.Path(__file__).with_name("optimizers.json")
path.write_text(json.dumps(golden, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
