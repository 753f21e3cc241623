"""Five training steps of a small multi-task network in PyTorch, for tests/train.rs.

Writes training.npz (24 rows: images, classes, numbers, one number in four missing) and training.safetensors (first parameters
under `first/`, parameters and running statistics after five full-batch steps under `last/`, the losses of each step).
The network, the losses and the optimizer are those of the spec in tests/train/golden.rs. Everything is computed in float64.
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).parent
rows = 24
image = torch.randn(rows, 2, 6, 6).float().double()
kind = torch.randint(0, 3, (rows,))
size = torch.randn(rows, 1).float().double()
missing = torch.arange(rows) % 4 == 1
stored = size.clone()
stored[missing] = float("nan")
np.savez(
    here / "training.npz",
    image=image.numpy().astype("<f4"),
    kind=kind.numpy().astype("<i8"),
    size=stored.numpy().astype("<f4"),
)

first = {
    "trunk.0.weight": torch.randn(4, 2, 3, 3) * 0.3,
    "trunk.1.weight": 1 + 0.1 * torch.randn(4),
    "trunk.1.bias": 0.1 * torch.randn(4),
    "label.weight": torch.randn(3, 36) * 0.2,
    "label.bias": torch.randn(3) * 0.1,
    "amount.weight": torch.randn(1, 36) * 0.2,
    "amount.bias": torch.randn(1) * 0.1,
    "balance.log_variance": torch.zeros(2),
}
statistics = {"trunk.1.running_mean": torch.zeros(4), "trunk.1.running_var": torch.ones(4)}


def lr(name):
    return 0.02 if name.startswith("trunk") else 0.05


def forward(p, statistics, trained):
    """The losses of the network by parameters `p`; with `trained`, the norm uses the moments of the batch."""
    x = F.conv2d(image, p["trunk.0.weight"], padding=1)
    mean, var = statistics["trunk.1.running_mean"], statistics["trunk.1.running_var"]
    x = F.batch_norm(x, mean, var, p["trunk.1.weight"], p["trunk.1.bias"], training=trained, momentum=0.1, eps=1e-5)
    x = F.max_pool2d(F.gelu(x), 2).flatten(1)
    classes = F.cross_entropy(F.linear(x, p["label.weight"], p["label.bias"]), kind, label_smoothing=0.1)
    amount = F.linear(x, p["amount.weight"], p["amount.bias"])
    number = F.huber_loss(amount[~missing], size[~missing], delta=1.0)
    s = p["balance.log_variance"]
    total = 1.0 * (0.5 * torch.exp(-s[0]) * classes + 0.5 * s[0]) + 0.5 * (0.5 * torch.exp(-s[1]) * number + 0.5 * s[1])
    return total, classes, number


def train(parameters, forward, penalty=lambda p: 0.0, keep=None):
    """Five steps: the losses of each, and the averages of the parameters when a step keeps `keep` of them."""
    own = {n: p for n, p in parameters.items() if not n.startswith("balance")}
    groups = [{"params": [p], "lr": lr(n)} for n, p in own.items()]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1)
    # The balancer moves its numbers by an Adam of its own, without decay or clipping, and they are not averaged.
    balancer = torch.optim.Adam([p for n, p in parameters.items() if n not in own], lr=0.01)
    losses, averages = [], {n: p.detach().clone() for n, p in own.items()}
    for _ in range(5):
        total, classes, number = forward(parameters)
        losses.append([total.item(), classes.item(), number.item()])
        optimizer.zero_grad()
        balancer.zero_grad()
        (total + penalty(parameters)).backward()
        torch.nn.utils.clip_grad_norm_(list(own.values()), 0.5)
        optimizer.step()
        balancer.step()
        for n, p in own.items():
            averages[n] = averages[n] if keep is None else keep * averages[n] + (1 - keep) * p.detach()
    return losses, averages


def fresh():
    return {name: t.float().double().clone().requires_grad_() for name, t in first.items()}


parameters = fresh()
losses, _ = train(parameters, lambda p: forward(p, statistics, True))

tensors = {f"first/{n}": t.float().numpy() for n, t in first.items()}
tensors |= {f"last/{n}": t.detach().float().numpy() for n, t in parameters.items()}
tensors |= {f"last/{n}": t.float().numpy() for n, t in statistics.items()}
tensors["losses"] = np.array(losses, dtype="<f4")

# The same with a penalty on the distance of the trunk from its start (L2-SP), and averages of the parameters.
moved, own = fresh(), {"trunk.1.running_mean": torch.zeros(4), "trunk.1.running_var": torch.ones(4)}
start = {n: p.detach().clone() for n, p in moved.items()}
pull = lambda p: 0.5 * 2.0 * sum(((p[n] - start[n]) ** 2).sum() for n in p if n.startswith("trunk"))
losses, averages = train(moved, lambda p: forward(p, own, True), pull, keep=0.7)
tensors |= {f"l2sp/last/{n}": t.detach().float().numpy() for n, t in (moved | own).items()}
tensors |= {f"l2sp/average/{n}": t.float().numpy() for n, t in averages.items()}
tensors["l2sp/losses"] = np.array(losses, dtype="<f4")

# Only the biases of the trunk, with running statistics that stay; the heads are trained as before.
tuned, kept = fresh(), {"trunk.1.running_mean": torch.zeros(4), "trunk.1.running_var": torch.ones(4)}
trained = {n: p for n, p in tuned.items() if not n.startswith("trunk") or n.endswith("bias")}
losses, _ = train(trained, lambda p: forward(tuned, kept, False))
tensors |= {f"bitfit/last/{n}": t.detach().float().numpy() for n, t in (tuned | kept).items()}
tensors["bitfit/losses"] = np.array(losses, dtype="<f4")

# Products of low rank beside the convolution and the head of classes, counted 3 / 2 times; the other heads are trained as before.
adapters = {
    "trunk.0.lora.a": torch.randn(2, 2, 3, 3) * 0.3,
    "trunk.0.lora.b": torch.randn(4, 2, 1, 1) * 0.2,
    "label.lora.a": torch.randn(2, 36) * 0.2,
    "label.lora.b": torch.randn(3, 2) * 0.2,
}
tensors |= {f"lora/first/{n}": t.float().numpy() for n, t in adapters.items()}
beside = {n: t.float().double().requires_grad_() for n, t in adapters.items()}
tuned, kept = fresh(), {"trunk.1.running_mean": torch.zeros(4), "trunk.1.running_var": torch.ones(4)}


def merged(p):
    """The parameters with what stands beside a weight added to it."""
    add = lambda n: 1.5 * (p[f"{n}.lora.b"].flatten(1) @ p[f"{n}.lora.a"].flatten(1)).reshape(tuned[f"{n}.weight"].shape)
    return tuned | {f"{n}.weight": tuned[f"{n}.weight"].detach() + add(n) for n in ["trunk.0", "label"]}


trained = beside | {n: p for n, p in tuned.items() if n.startswith(("amount", "balance"))}
losses, _ = train(trained, lambda p: forward(merged(p), kept, False))
tensors |= {f"lora/last/{n}": t.detach().float().numpy() for n, t in (tuned | kept | beside).items()}
tensors["lora/losses"] = np.array(losses, dtype="<f4")
save_file(tensors, here / "training.safetensors")
