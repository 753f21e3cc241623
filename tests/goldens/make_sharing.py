"""Architectures that share between tasks in PyTorch, for tests/sharing.rs: a mixture of experts with two gates, and cross-stitch units.

Writes sharing.safetensors: for each of the two networks its parameters under `NAME/weights/PATH`, inputs and targets under
`NAME/rows/`, what its heads answer under `NAME/answers/`, the objective, and the gradient of the objective for each parameter under
`NAME/gradients/PATH`. The networks are those of the specs in tests/sharing.rs. Everything is computed in float64.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

torch.manual_seed(23)
torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).parent
ROWS = 7
written = {}


def draw(*dims):
    """Numbers that float32 holds exactly."""
    return torch.randn(*dims).float().double()


def linear(p, path, x):
    return F.linear(x, p[f"{path}.weight"], p[f"{path}.bias"])


def golden(name, shapes, rows, forward, objective):
    parameters = {path: (draw(*dims) * 0.5).float().double().requires_grad_() for path, dims in shapes.items()}
    answers = forward(parameters, rows)
    total = objective(answers, rows)
    total.backward()
    tensors = {f"weights/{path}": p for path, p in parameters.items()}
    tensors |= {f"gradients/{path}": p.grad for path, p in parameters.items()}
    tensors |= {f"rows/{field}": x for field, x in rows.items()} | {f"answers/{head}": y for head, y in answers.items()}
    tensors["objective"] = total.reshape(1)
    for key, value in tensors.items():
        written[f"{name}/{key}"] = value.detach().numpy().astype("<f4")


def experts(p, rows):
    x = rows["x"]
    values = torch.stack([torch.tanh(linear(p, f"experts.{i}.0", x)) for i in range(3)], dim=1)

    def mixed(gate):
        return torch.einsum("be,bew->bw", torch.softmax(linear(p, gate, x), dim=1), values)

    return {"first": linear(p, "first.1", mixed("gate_a")), "second": linear(p, "second.1", mixed("gate_b"))}


golden(
    "experts",
    {f"experts.{i}.0.{n}": d for i in range(3) for n, d in [("weight", (4, 5)), ("bias", (4,))]}
    | {f"gate_{g}.{n}": d for g in "ab" for n, d in [("weight", (3, 5)), ("bias", (3,))]}
    | {"first.1.weight": (1, 4), "first.1.bias": (1,), "second.1.weight": (2, 4), "second.1.bias": (2,)},
    {"x": draw(ROWS, 5), "a": draw(ROWS, 1), "b": draw(ROWS, 2)},
    experts,
    lambda answers, rows: F.mse_loss(answers["first"], rows["a"]) + 0.5 * F.mse_loss(answers["second"], rows["b"]),
)


def by_part(weight, x):
    """Every part a combination of all: one matrix."""
    parts = x.unflatten(1, (weight.shape[0], -1))
    return torch.einsum("ij,bj...->bi...", weight, parts).flatten(1, 2)


def by_channel(weight, x, parts):
    """A matrix for each channel."""
    each = weight.reshape(-1, parts, parts)
    return torch.einsum("cij,bjc...->bic...", each, x.unflatten(1, (parts, -1))).flatten(1, 2)


def stitched(p, rows):
    x, image = rows["x"], rows["image"]
    one = torch.tanh(linear(p, "one.0", x))
    two = torch.tanh(linear(p, "two.0", x))
    both = by_channel(p["both.weight"], torch.cat([one, two], dim=1), 2)
    first = linear(p, "first.1", both[:, :3])
    second = linear(p, "second.2", by_part(p["second.1.weight"], both[:, 3:]))
    wide = F.conv2d(image, p["wide.weight"], p["wide.bias"], padding=1)
    narrow = F.conv2d(image, p["narrow.weight"], p["narrow.bias"])
    maps = by_channel(p["maps.0.weight"], torch.cat([wide, narrow], dim=1), 2)
    maps = by_part(p["maps.1.weight"], maps)
    maps = maps[:, :3] * maps[:, 3:]
    third = linear(p, "third.3", maps.sum(dim=1, keepdim=True).mean(dim=(2, 3)))
    return {"first": first, "second": second, "third": third}


golden(
    "stitched",
    {
        "one.0.weight": (3, 4), "one.0.bias": (3,), "two.0.weight": (3, 4), "two.0.bias": (3,), "both.weight": (6, 2, 1, 1),
        "first.1.weight": (1, 3), "first.1.bias": (1,), "second.1.weight": (3, 3), "second.2.weight": (2, 3),
        "second.2.bias": (2,), "wide.weight": (3, 2, 3, 3), "wide.bias": (3,), "narrow.weight": (3, 2, 1, 1),
        "narrow.bias": (3,), "maps.0.weight": (6, 2, 1, 1), "maps.1.weight": (3, 3), "third.3.weight": (1, 1),
        "third.3.bias": (1,),
    },
    {"x": draw(ROWS, 4), "image": draw(ROWS, 2, 3, 5), "a": draw(ROWS, 1), "b": draw(ROWS, 2), "c": draw(ROWS, 1)},
    stitched,
    lambda answers, rows: F.mse_loss(answers["first"], rows["a"])
    + F.mse_loss(answers["second"], rows["b"])
    + 2.0 * F.mse_loss(answers["third"], rows["c"]),
)

save_file(written, here / "sharing.safetensors")
