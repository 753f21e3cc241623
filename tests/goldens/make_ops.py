"""Writes ops.json and ops.safetensors: what PyTorch says every op of mtlc computes, and every gradient.

Inputs are rounded to float32, the reference runs in float64, and its results are stored as float32. Each case draws from a
generator seeded by its own name, so a new case leaves the others as they are. See README.md for how to run this.
"""

import itertools
import json
import pathlib
import zlib

import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

NAN = float("nan")
cases, tensors, rng = [], {}, torch.Generator()


def case(name, op, attributes, inputs, reference, batched=True, smooth=True):
    """One case. `inputs` maps a name to what `x`, `p`, `data` or `ids` made; `reference` takes the tensors in that order."""
    rng.manual_seed(zlib.crc32(name.encode()))
    inputs = {key: make() for key, make in inputs.items()}
    wide = []
    for kind, value in inputs.values():
        value = value.clone()
        if value.is_floating_point():
            value = value.double()
            if kind in ("x", "p"):
                value.requires_grad_()
        wide.append(value)
    output = reference(*wide)
    cotangent = (torch.randn(output.shape, generator=rng) if output.dim() else torch.tensor(1.5)).float()
    leaves = [v for v in wide if v.requires_grad]
    gradients = iter(())
    if leaves:
        gradients = torch.autograd.grad(output, leaves, cotangent.double(), allow_unused=True)
        gradients = iter([torch.zeros_like(v) if g is None else g for v, g in zip(leaves, gradients)])
    described = []
    for (key, (kind, value)), w in zip(inputs.items(), wide):
        tensors[f"{name}/{key}"] = value.contiguous()
        if w.requires_grad:
            tensors[f"{name}/{key}.grad"] = next(gradients).float().contiguous()
        described.append({"name": key, **typed(value, kind != "p")})
    assert output.isfinite().all(), name
    tensors[f"{name}/output"] = output.detach().float().contiguous()
    tensors[f"{name}/cotangent"] = cotangent
    batch = next((v.shape[0] for k, v in inputs.values() if k != "p" and v.dim()), 1)
    cases.append({
        "name": name,
        "op": {op: attributes},
        "batch": batch,
        "smooth": smooth,
        "inputs": described,
        "output": typed(output, batched),
    })


def typed(value, batched):
    dims = list(value.shape)
    if batched and dims:
        dims[0] = "batch"
    return {"dtype": "f32" if value.is_floating_point() else "i64", "dims": dims}


def x(*shape, scale=1.0, shift=0.0):
    """Numbers of every example, with a gradient."""
    return lambda: ("x", (torch.randn(shape, generator=rng) * scale + shift).float())


def p(*shape, scale=1.0, shift=0.0):
    """A fixed value with a gradient: a parameter."""
    return lambda: ("p", (torch.randn(shape, generator=rng) * scale + shift).float())


def positive(kind, *shape):
    return lambda: (kind, (torch.rand(shape, generator=rng) + 0.3).float())


def given(kind, value):
    """These very numbers: kind `x` or `p` with a gradient, `data` without."""
    return lambda: (kind, torch.tensor(value))


def data(*shape, scale=1.0):
    return lambda: ("data", (torch.randn(shape, generator=rng) * scale).float())


def classes(n, *shape):
    return lambda: ("data", torch.randint(0, n, shape, generator=rng))


def ones(n):
    return given("data", [1.0] * n)


# --- matrix products -------------------------------------------------------------------------------------------------

case("linear", "linear", {"bias": True}, {"x": x(4, 5), "w": p(3, 5), "b": p(3)}, F.linear)
case("linear_no_bias", "linear", {"bias": False}, {"x": x(2, 7), "w": p(1, 7)}, F.linear)
case("linear_tokens", "linear", {"bias": True}, {"x": x(2, 3, 5), "w": p(4, 5), "b": p(4)}, F.linear)
case("linear_tokens_no_bias", "linear", {"bias": False}, {"x": x(3, 2, 4), "w": p(6, 4)}, F.linear)
case("linear_one", "linear", {"bias": True}, {"x": x(1, 1), "w": p(1, 1), "b": p(1)}, F.linear)


def conv(name, xs, ws, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1, bias=True):
    top, bottom, left, right = padding

    def reference(v, w, b=None):
        return F.conv2d(F.pad(v, (left, right, top, bottom)), w, b, stride, 0, dilation, groups)

    inputs = {"x": x(*xs), "w": p(*ws, scale=0.5)}
    if bias:
        inputs["b"] = p(ws[0])
    attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias}
    case(name, "conv2d", attributes, inputs, reference)


conv("conv2d", (2, 3, 6, 5), (4, 3, 3, 3), padding=(1, 1, 1, 1))
conv("conv2d_plain", (2, 2, 4, 4), (3, 2, 2, 2), bias=False)
conv("conv2d_1x1", (2, 5, 3, 4), (6, 5, 1, 1))
conv("conv2d_stride", (1, 2, 7, 8), (3, 2, 3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
conv("conv2d_same_asymmetric", (2, 2, 6, 6), (3, 2, 3, 3), stride=(2, 2), padding=(0, 1, 0, 1), bias=False)
conv("conv2d_rectangular", (2, 2, 5, 9), (2, 2, 1, 5), stride=(1, 2), padding=(0, 0, 2, 1))
conv("conv2d_dilation", (1, 2, 9, 8), (2, 2, 3, 2), padding=(2, 2, 1, 1), dilation=(2, 3))
conv("conv2d_groups", (2, 6, 5, 4), (4, 3, 3, 3), padding=(1, 1, 1, 1), groups=2)
conv("conv2d_depthwise", (2, 4, 6, 5), (4, 1, 3, 3), padding=(1, 1, 1, 1), groups=4, bias=False)
conv("conv2d_depthwise_5x5_stride", (2, 3, 9, 7), (3, 1, 5, 5), stride=(2, 2), padding=(1, 2, 2, 1), groups=3)
conv("conv2d_depth_multiplier", (2, 3, 4, 4), (6, 1, 3, 3), padding=(1, 1, 1, 1), groups=3)
conv("conv2d_whole_image", (3, 2, 3, 4), (5, 2, 3, 4))
conv("conv2d_one", (1, 1, 1, 1), (1, 1, 1, 1))
conv("conv2d_window_in_padding", (1, 1, 2, 2), (1, 1, 2, 2), padding=(3, 2, 2, 3))


def deconv(name, xs, ws, stride=(1, 1), padding=(0, 0), output_padding=(0, 0), dilation=(1, 1), groups=1, bias=True):
    def reference(v, w, b=None):
        return F.conv_transpose2d(v, w, b, stride, padding, output_padding, groups, dilation)

    inputs = {"x": x(*xs), "w": p(*ws, scale=0.5)}
    if bias:
        inputs["b"] = p(ws[1] * groups)
    attributes = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation,
                  "groups": groups, "bias": bias}
    case(name, "conv_transpose2d", attributes, inputs, reference)


deconv("conv_transpose2d", (2, 3, 3, 4), (3, 2, 2, 2), stride=(2, 2))
deconv("conv_transpose2d_plain", (1, 2, 3, 3), (2, 3, 3, 3), bias=False)
deconv("conv_transpose2d_output_padding", (2, 2, 3, 3), (2, 2, 3, 3), (2, 2), (1, 1), (1, 1))
deconv("conv_transpose2d_rectangular", (1, 2, 2, 4), (2, 2, 4, 3), (2, 3), (1, 0), (0, 2))
deconv("conv_transpose2d_groups", (2, 4, 3, 2), (4, 3, 3, 3), (2, 1), (1, 1), groups=2)
deconv("conv_transpose2d_dilation", (1, 2, 3, 3), (2, 1, 2, 3), dilation=(3, 2), padding=(1, 2))
deconv("conv_transpose2d_one", (1, 1, 1, 1), (1, 1, 1, 1))

ids = [[1, 5, 5], [8, 0, 5]]
case("embedding", "embedding", {}, {"ids": given("data", ids), "w": p(9, 4)}, lambda i, w: F.embedding(i, w))
case("embedding_one", "embedding", {}, {"ids": given("data", [[0]]), "w": p(1, 1)}, lambda i, w: F.embedding(i, w))
case("embedding_outside", "embedding", {}, {"ids": given("data", [[-1, 2], [1, 3]]), "w": p(3, 2)},
     lambda i, w: F.embedding(i.clamp(0, 2), w) * ((i >= 0) & (i < 3)).double()[..., None])


def attention(heads):
    def reference(q, k, v, mask=None):
        split = lambda t: t.unflatten(2, (heads, -1)).transpose(1, 2)
        scores = split(q) @ split(k).transpose(2, 3) / (q.shape[2] / heads) ** 0.5
        if mask is not None:
            hidden = (mask == 0)[:, None, None, :]
            scores = scores.masked_fill(hidden, -1e300)
            return (scores.softmax(3).masked_fill(hidden, 0.0) @ split(v)).transpose(1, 2).flatten(2)
        return (scores.softmax(3) @ split(v)).transpose(1, 2).flatten(2)

    return reference


qkv = {"q": x(2, 3, 4), "k": x(2, 3, 4), "v": x(2, 3, 4)}
case("attention", "attention", {"heads": 2}, qkv, attention(2))
case("attention_one_head", "attention", {"heads": 1}, {"q": x(1, 2, 3), "k": x(1, 2, 3), "v": x(1, 2, 3)}, attention(1))
mask = given("data", [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
case("attention_mask", "attention", {"heads": 4}, qkv | {"mask": mask}, attention(4))
case("attention_all_hidden", "attention", {"heads": 2}, qkv | {"mask": given("data", [[1.0, 0.0, 1.0], [0.0] * 3])}, attention(2))
case("attention_cross", "attention", {"heads": 2},
     {"q": x(2, 2, 4), "k": x(2, 5, 4), "v": x(2, 5, 4), "mask": given("data", [[1.0] * 5, [1.0, 1, 1, 0, 0]])}, attention(2))

# --- pools and resizing ----------------------------------------------------------------------------------------------


def max_pool(name, v, kernel, stride, padding=(0, 0, 0, 0)):
    top, bottom, left, right = padding

    def reference(t):
        return F.max_pool2d(F.pad(t, (left, right, top, bottom), value=-torch.inf), kernel, stride)

    case(name, "max_pool2d", {"kernel": kernel, "stride": stride, "padding": padding}, {"x": v}, reference, smooth=False)


max_pool("max_pool2d", x(2, 2, 6, 5), (2, 2), (2, 2))
max_pool("max_pool2d_overlap", x(2, 3, 7, 6), (3, 3), (2, 2), (1, 1, 1, 1))
max_pool("max_pool2d_asymmetric", x(1, 2, 6, 6), (3, 3), (2, 2), (0, 1, 0, 1))
max_pool("max_pool2d_rectangular", x(2, 1, 5, 7), (1, 3), (2, 1), (0, 0, 2, 0))
max_pool("max_pool2d_one", x(1, 1, 1, 1), (1, 1), (1, 1))
ties = [[[[1.0, 1, 2, 2], [1, 1, 2, 0], [0, 0, -1, -1], [0, 3, -1, -1]]]]
max_pool("max_pool2d_ties", given("x", ties), (2, 2), (2, 2))
max_pool("max_pool2d_ties_overlap", given("x", ties), (3, 3), (1, 1), (1, 1, 1, 1))


def avg_pool(name, xs, kernel, stride, padding=(0, 0, 0, 0), count_padding=True):
    top, bottom, left, right = padding

    def reference(t):
        pad = lambda u: F.pad(u, (left, right, top, bottom))
        mean = F.avg_pool2d(pad(t), kernel, stride)
        return mean if count_padding else mean / F.avg_pool2d(pad(torch.ones_like(t)), kernel, stride)

    attributes = {"kernel": kernel, "stride": stride, "padding": padding, "count_padding": count_padding}
    case(name, "avg_pool2d", attributes, {"x": x(*xs)}, reference)


avg_pool("avg_pool2d", (2, 2, 6, 5), (2, 2), (2, 2))
avg_pool("avg_pool2d_padding", (1, 2, 5, 6), (3, 3), (2, 1), (1, 1, 1, 1))
avg_pool("avg_pool2d_uncounted", (1, 2, 5, 6), (3, 3), (2, 1), (1, 1, 1, 1), False)
avg_pool("avg_pool2d_asymmetric", (2, 1, 6, 6), (3, 2), (2, 2), (0, 1, 1, 0), False)
avg_pool("avg_pool2d_one", (1, 1, 1, 1), (1, 1), (1, 1))

for name, xs, size in [("", (2, 2, 7, 5), [3, 2]), ("_larger", (1, 2, 2, 3), [3, 5]), ("_one", (2, 1, 4, 3), [1, 1])]:
    case("adaptive_avg_pool2d" + name, "adaptive_avg_pool2d", {"size": size}, {"x": x(*xs)},
         lambda t, size=size: F.adaptive_avg_pool2d(t, size))
case("global_avg_pool", "global_avg_pool", {}, {"x": x(2, 3, 4, 5)}, lambda t: t.mean((2, 3)))
case("global_avg_pool_one", "global_avg_pool", {}, {"x": x(1, 2, 1, 1)}, lambda t: t.mean((2, 3)))


def masked_mean(t, m):
    total = m.sum(1, keepdim=True)
    return (t * m[..., None]).sum(1) / torch.where(total > 0, total, 1.0)


masks = [[1.0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
case("masked_mean", "masked_mean", {}, {"x": x(3, 4, 2), "mask": given("data", masks)}, masked_mean)
case("masked_mean_full", "masked_mean", {}, {"x": x(2, 2, 3), "mask": given("data", [[1.0, 1], [1, 1]])}, masked_mean)

for mode, keywords in [("nearest", {"mode": "nearest"}), ("bilinear", {"mode": "bilinear"}),
                       ("bilinear_aligned", {"mode": "bilinear", "align_corners": True})]:
    for label, xs, size in [("", (2, 2, 3, 4), [6, 8]), ("_odd", (1, 2, 4, 3), [7, 5]), ("_smaller", (1, 1, 6, 5), [3, 2]),
                            ("_from_one", (2, 1, 1, 1), [2, 3]), ("_to_one", (1, 1, 3, 2), [1, 1])]:
        case(f"upsample_{mode}{label}", "upsample", {"size": size, "mode": mode}, {"x": x(*xs)},
             lambda t, size=size, keywords=keywords: F.interpolate(t, size, **keywords))

# --- norms -----------------------------------------------------------------------------------------------------------

AXES = {2: (0,), 3: (0, 2), 4: (0, 2, 3)}
SHAPES = {"vectors": (5, 3), "sequences": (3, 2, 4), "images": (2, 3, 3, 2)}
for label, shape in SHAPES.items():
    c, axes = shape[1], AXES[len(shape)]
    wide = lambda t, n=len(shape): t.reshape([1, -1] + [1] * (n - 2))
    case(f"channel_mean_{label}", "channel_mean", {}, {"x": x(*shape, shift=0.5)}, lambda t, axes=axes: t.mean(axes), batched=False)
    case(f"channel_var_{label}", "channel_var", {}, {"x": x(*shape), "mean": p(c)},
         lambda t, m, axes=axes, wide=wide: ((t - wide(m)) ** 2).mean(axes), batched=False)
    case(f"batch_norm_{label}", "batch_norm", {"epsilon": 1e-5},
         {"x": x(*shape), "mean": p(c), "var": positive("p", c), "gamma": p(c), "beta": p(c)},
         lambda t, m, v, g, b, wide=wide: (t - wide(m)) / (wide(v) + 1e-5).sqrt() * wide(g) + wide(b))
    # Not an op but the three above in a row, which the test composes by the chain rule.
    case(f"batch_norm_train_{label}", "batch_norm", {"epsilon": 1e-3}, {"x": x(*shape, shift=0.3), "gamma": p(c), "beta": p(c)},
         lambda t, g, b: F.batch_norm(t, None, None, g, b, True, eps=1e-3))
case("batch_norm_large_epsilon", "batch_norm", {"epsilon": 0.1},
     {"x": x(2, 1, 1, 1), "mean": p(1), "var": given("p", [0.0]), "gamma": p(1), "beta": p(1)},
     lambda t, m, v, g, b: (t - m[0]) / (v[0] + 0.1).sqrt() * g[0] + b[0])

for axis, shape in [(0, (4, 3)), (0, (3, 2, 2, 3)), (1, (2, 3, 2, 2)), (0, (2,))]:
    c = shape[axis]
    along = lambda t, axis=axis, n=len(shape): t.reshape([-1 if i == axis else 1 for i in range(n)])
    case(f"scale_filters_rank{len(shape)}_axis{axis}", "scale_filters", {"axis": axis, "epsilon": 1e-3},
         {"w": p(*shape), "gamma": p(c), "var": positive("p", c)},
         lambda w, g, v, along=along: w * along(g / (v + 1e-3).sqrt()), batched=False)
moments = {"mean": p(5), "var": positive("p", 5), "gamma": p(5), "beta": p(5)}
case("fold_bias", "fold_bias", {"bias": True, "epsilon": 1e-5}, moments | {"b": p(5)},
     lambda m, v, g, beta, b: (b - m) * g / (v + 1e-5).sqrt() + beta, batched=False)
case("fold_bias_none", "fold_bias", {"bias": False, "epsilon": 0.1}, moments,
     lambda m, v, g, beta: beta - m * g / (v + 0.1).sqrt(), batched=False)

case("scale", "scale", {"factor": 2.5}, {"x": x(3, 4)}, lambda t: 2.5 * t)
case("scale_map", "scale", {"factor": -0.5}, {"x": x(2, 3, 4, 4)}, lambda t: -0.5 * t)
case("scale_fixed", "scale", {"factor": 0.25}, {"x": p(3, 2, 1, 1)}, lambda t: 0.25 * t, batched=False)
for label, w in {"": (3, 5), "_conv": (4, 3, 3, 2), "_wide": (2, 2)}.items():
    rank = 3
    case(f"low_rank{label}", "low_rank", {"scale": 1.5},
         {"w": p(*w), "a": p(rank, *w[1:]), "b": p(w[0], rank, *[1] * (len(w) - 2))},
         lambda w, a, b: w + 1.5 * (b.flatten(1) @ a.flatten(1)).reshape(w.shape), batched=False)

for label, shape in {"": (3, 5), "_tokens": (2, 3, 4), "_pair": (2, 2)}.items():
    e = shape[-1]
    case(f"layer_norm{label}", "layer_norm", {"epsilon": 1e-5}, {"x": x(*shape), "gamma": p(e), "beta": p(e)},
         lambda t, g, b, e=e: F.layer_norm(t, (e,), g, b, 1e-5))
for groups in [1, 2, 4]:
    case(f"group_norm_{groups}", "group_norm", {"groups": groups, "epsilon": 1e-5}, {"x": x(2, 4, 3, 2), "gamma": p(4), "beta": p(4)},
         lambda t, g, b, groups=groups: F.group_norm(t, groups, g, b, 1e-5))
case("normalize_l2", "normalize_l2", {"epsilon": 1e-12}, {"x": x(3, 4)}, lambda t: F.normalize(t, eps=1e-12))
case("normalize_l2_zero", "normalize_l2", {"epsilon": 0.1}, {"x": given("x", [[0.0, 0], [0.03, 0.04], [3, 4]])},
     lambda t: F.normalize(t, eps=0.1))
dropped = [[0.0, 1.25, 1.25], [1.25, 1.25, 0.0]]
case("dropout", "dropout", {}, {"x": x(2, 3), "mask": given("data", dropped)}, lambda t, m: t * m)
case("dropout_image", "dropout", {}, {"x": x(2, 2, 2, 2), "mask": data(2, 2, 2, 2)}, lambda t, m: t * m)

# --- activations -----------------------------------------------------------------------------------------------------

EDGES = [[-7.0, -3.0, -0.5, 0.0, 0.5], [3.0, 6.0, 7.0, -20.0, 20.0]]
ACTIVATIONS = {
    "relu": ({}, F.relu, False),
    "relu6": ({}, F.relu6, False),
    "leaky_relu": ({"slope": 0.1}, lambda t: F.leaky_relu(t, 0.1), False),
    "gelu": ({"approximate": False}, F.gelu, True),
    "silu": ({}, F.silu, True),
    "hardswish": ({}, F.hardswish, False),
    "hardsigmoid": ({}, F.hardsigmoid, False),
    "sigmoid": ({}, torch.sigmoid, True),
    "tanh": ({}, torch.tanh, True),
}
for op, (attributes, f, smooth) in ACTIVATIONS.items():
    case(op, op, attributes, {"x": x(3, 4, scale=2.0)}, f, smooth=smooth)
    case(f"{op}_edges", op, attributes, {"x": given("x", EDGES)}, f, smooth=smooth)
    case(f"{op}_image", op, attributes, {"x": x(1, 2, 3, 2, scale=3.0)}, f, smooth=smooth)
tanh_gelu = lambda t: F.gelu(t, approximate="tanh")
case("gelu_approximate", "gelu", {"approximate": True}, {"x": x(2, 3, 4, scale=2.0)}, tanh_gelu)
case("gelu_approximate_edges", "gelu", {"approximate": True}, {"x": given("x", EDGES)}, tanh_gelu)
for shape in [(2, 3), (2, 3, 4), (2, 3, 2, 2)]:
    for axis in range(1, len(shape)):
        case(f"softmax_rank{len(shape)}_axis{axis}", "softmax", {"axis": axis}, {"x": x(*shape, scale=2.0)},
             lambda t, axis=axis: t.softmax(axis))
case("softmax_large", "softmax", {"axis": 1}, {"x": given("x", [[1000.0, 999.0, -1000.0], [-90.0, -91.0, -90.0]])}, lambda t: t.softmax(1))

# --- arithmetic and shapes -------------------------------------------------------------------------------------------

for name, shape in [("scalars", ()), ("numbers", (5,)), ("tokens", (4, 3, 2)), ("image", (3, 2, 3, 5))]:
    case(f"blend_{name}", "blend", {}, {"a": x(*shape), "b": x(*shape), "share": data()},
         lambda a, b, share: share * a + (1 - share) * b, batched=shape != ())
for shape in [(1, 3), (4,), (5, 2), (3, 2, 4), (4, 3, 2, 3)]:
    case(f"reverse_{len(shape)}_{shape[0]}", "reverse", {}, {"x": x(*shape)}, lambda t: t.flip(0))
for op, f in [("add", torch.add), ("mul", torch.mul)]:
    case(op, op, {}, {"a": x(2, 3), "b": x(2, 3)}, f)
    case(f"{op}_image", op, {}, {"a": x(2, 2, 3, 2), "b": x(2, 2, 3, 2)}, f)
    case(f"{op}_shared", op, {}, {"a": x(3, 2, 4), "b": p(2, 4)}, f)
    case(f"{op}_shared_vector", op, {}, {"a": x(1, 5), "b": p(5)}, f)
    case(f"{op}_scalars", op, {}, {"a": x(), "b": x()}, f, batched=False)
for label, shape in {"": (2, 3, 4, 5), "_one": (1, 1, 1, 1), "_sequence": (2, 3, 4)}.items():
    case(f"scale_channels{label}", "scale_channels", {}, {"x": x(*shape), "s": x(*shape[:2])},
         lambda t, s: t * s.reshape(s.shape + (1,) * (t.dim() - 2)))
case("add_rows", "add_rows", {"row": None}, {"x": x(2, 3, 4), "w": p(5, 4)}, lambda t, w: t + w[:3])
case("add_rows_all", "add_rows", {"row": None}, {"x": x(3, 2, 3), "w": p(2, 3)}, lambda t, w: t + w)
case("add_rows_one", "add_rows", {"row": 1}, {"x": x(2, 3, 4), "w": p(3, 4)}, lambda t, w: t + w[1])
case("prepend", "prepend", {}, {"x": x(2, 3, 4), "w": p(4)},
     lambda t, w: torch.cat([w.expand(2, 1, 4), t], 1))
case("prepend_one", "prepend", {}, {"x": x(1, 1, 1), "w": p(1)}, lambda t, w: torch.cat([w.expand(1, 1, 1), t], 1))
case("concat_vectors", "concat", {"axis": 1}, {"a": x(2, 3), "b": x(2, 1), "c": x(2, 2)}, lambda *t: torch.cat(t, 1))
case("concat_channels", "concat", {"axis": 1}, {"a": x(2, 1, 2, 3), "b": x(2, 2, 2, 3)}, lambda *t: torch.cat(t, 1))
case("concat_last", "concat", {"axis": 3}, {"a": x(2, 1, 2, 3), "b": x(2, 1, 2, 1)}, lambda *t: torch.cat(t, 3))
case("concat_tokens", "concat", {"axis": 2}, {"a": x(1, 2, 3), "b": x(1, 2, 2)}, lambda *t: torch.cat(t, 2))
case("concat_single", "concat", {"axis": 1}, {"a": x(2, 3)}, lambda t: t.clone())
case("flatten_image", "flatten", {}, {"x": x(2, 2, 3, 2)}, lambda t: t.flatten(1))
case("flatten_vector", "flatten", {}, {"x": x(2, 3)}, lambda t: t.flatten(1))
case("flatten_number", "flatten", {}, {"x": x(3)}, lambda t: t[:, None])
case("reshape", "reshape", {"dims": [3, 4]}, {"x": x(2, 2, 3, 2)}, lambda t: t.reshape(-1, 3, 4))
case("reshape_same", "reshape", {"dims": [3]}, {"x": x(2, 3)}, lambda t: t.clone())
case("reshape_image", "reshape", {"dims": [1, 2, 3]}, {"x": x(1, 6)}, lambda t: t.reshape(-1, 1, 2, 3))
case("reshape_number", "reshape", {"dims": []}, {"x": x(3, 1)}, lambda t: t[:, 0])
case("permute_swap", "permute", {"order": [1, 0]}, {"x": x(2, 3, 4)}, lambda t: t.permute(0, 2, 1))
case("permute_image", "permute", {"order": [2, 0, 1]}, {"x": x(2, 2, 3, 4)}, lambda t: t.permute(0, 3, 1, 2))
case("permute_identity", "permute", {"order": [0, 1]}, {"x": x(2, 2, 3)}, lambda t: t.clone())
case("permute_ones", "permute", {"order": [1, 2, 0]}, {"x": x(1, 1, 3, 1)}, lambda t: t.permute(0, 2, 3, 1))
case("slice_vector", "slice", {"axis": 1, "start": 1, "end": 4}, {"x": x(2, 5)}, lambda t: t[:, 1:4])
case("slice_channels", "slice", {"axis": 1, "start": 0, "end": 2}, {"x": x(2, 3, 2, 2)}, lambda t: t[:, :2])
case("slice_last", "slice", {"axis": 3, "start": 2, "end": 3}, {"x": x(2, 1, 2, 4)}, lambda t: t[..., 2:3])
case("slice_all", "slice", {"axis": 2, "start": 0, "end": 3}, {"x": x(2, 2, 3)}, lambda t: t.clone())
case("present", "present", {"absent": 0}, {"ids": given("data", [[3, 0, 0], [1, 2, 0]])}, lambda i: (i != 0).double())
case("present_negative", "present", {"absent": -1}, {"ids": given("data", [0, -1, 4])}, lambda i: (i != -1).double())

# --- losses ----------------------------------------------------------------------------------------------------------


def loss(name, op, attributes, prediction, target, presence, reference, smooth=True):
    """A loss whose reference takes the present rows of prediction and target alone."""

    def present_only(prediction, target, presence):
        keep = presence != 0
        return reference(prediction[keep], target[keep]) if keep.any() else (prediction * 0).nan_to_num().sum()

    inputs = {"prediction": prediction, "target": target, "presence": given("data", presence)}
    case(name, op, attributes, inputs, present_only, batched=False, smooth=smooth)


def ce(smoothing=0.0, weights=None, ignore=None):
    def reference(prediction, target):
        wanted = target.masked_fill(target < 0, -100)
        if ignore is not None:
            wanted = wanted.masked_fill(target == ignore, -100)
        w = None if weights is None else torch.tensor(weights).double()
        return F.cross_entropy(prediction, wanted, w, label_smoothing=smoothing)

    return {"smoothing": smoothing, "weights": weights, "ignore": ignore}, reference


def tokens(reference):
    """PyTorch wants the classes on axis 1."""
    return lambda prediction, target: reference(prediction.transpose(1, 2), target)


W4 = [0.5, 1.0, 2.0, 0.25]
attributes, reference = ce()
loss("cross_entropy", "cross_entropy", attributes, x(4, 3, scale=2.0), classes(3, 4), [1.0] * 4, reference)
loss("cross_entropy_missing", "cross_entropy", attributes, x(4, 3), given("data", [2, -1, 0, 1]), [1.0, 1.0, 0.0, 1.0], reference)
loss("cross_entropy_none_present", "cross_entropy", attributes, x(2, 3), classes(3, 2), [0.0, 0.0], reference)
loss("cross_entropy_tokens", "cross_entropy", attributes, x(2, 3, 4), classes(4, 2, 3), [1.0, 1.0], tokens(reference))
loss("cross_entropy_image", "cross_entropy", attributes, x(2, 3, 2, 3), classes(3, 2, 2, 3), [1.0, 0.0], reference)
loss("cross_entropy_one_class", "cross_entropy", attributes, x(2, 1), given("data", [0, 0]), [1.0, 1.0], reference)
loss("cross_entropy_large", "cross_entropy", attributes, given("x", [[1000.0, 0.0], [-1000.0, 1000.0]]), given("data", [1, 1]), [1.0, 1.0], reference)
attributes, reference = ce(0.1)
loss("cross_entropy_smoothing", "cross_entropy", attributes, x(4, 3), classes(3, 4), [1.0] * 4, reference)
attributes, reference = ce(weights=W4)
loss("cross_entropy_weights", "cross_entropy", attributes, x(5, 4), classes(4, 5), [1.0, 0.0, 1.0, 1.0, 1.0], reference)
attributes, reference = ce(0.2, W4, 3)
loss("cross_entropy_all", "cross_entropy", attributes, x(6, 4), given("data", [0, 3, 1, -5, 2, 1]), [1.0, 1.0, 1.0, 1.0, 0.0, 1.0], reference)
loss("cross_entropy_all_tokens", "cross_entropy", attributes, x(2, 3, 4), given("data", [[0, 3, 1], [-1, 2, 2]]), [1.0, 1.0], tokens(reference))
loss("cross_entropy_all_image", "cross_entropy", attributes, x(3, 4, 2, 2), given("data", [[[0, 3], [1, -1]], [[1, 1], [1, 1]], [[2, 0], [3, 1]]]), [1.0, 0.0, 1.0], reference)


def focal(gamma, alpha=None):
    def reference(prediction, target):
        logs = prediction.log_softmax(1).gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)[target >= 0]
        return (-(alpha or 1.0) * (1 - logs.exp()) ** gamma * logs).mean()

    return {"gamma": gamma, "alpha": alpha}, reference


for label, gamma, alpha in [("", 2.0, None), ("_alpha", 1.5, 0.25), ("_zero_gamma", 0.0, None), ("_half", 0.5, None)]:
    attributes, reference = focal(gamma, alpha)
    loss(f"focal{label}", "focal", attributes, x(4, 3, scale=2.0), given("data", [2, 0, -1, 1]), [1.0, 1.0, 1.0, 1.0], reference)
attributes, reference = focal(2.0)
loss("focal_tokens", "focal", attributes, x(2, 3, 4), classes(4, 2, 3), [1.0, 0.0], tokens(reference))
loss("focal_image", "focal", attributes, x(2, 3, 2, 2), classes(3, 2, 2, 2), [1.0, 1.0], reference)


def ordinal(prediction, target):
    """Classes along axis 1; one logit for each step from a class to the next."""
    logits = prediction.movedim(1, -1)[target >= 0]
    above = target[target >= 0].unsqueeze(-1) > torch.arange(logits.shape[-1])
    return F.binary_cross_entropy_with_logits(logits, above.double())


loss("ordinal", "ordinal", {}, x(5, 3, scale=2.0), given("data", [0, 3, 1, -1, 2]), [1.0, 1.0, 0.0, 1.0, 1.0], ordinal)
loss("ordinal_two", "ordinal", {}, x(4, 1, scale=2.0), given("data", [0, 1, 1, 0]), [1.0] * 4, ordinal)
loss("ordinal_large", "ordinal", {}, given("x", [[1000.0, -1000.0], [-1000.0, 1000.0]]), given("data", [1, 1]), [1.0, 1.0], ordinal)
loss("ordinal_tokens", "ordinal", {}, x(2, 3, 4), given("data", [[0, 4, -1], [2, 1, 3]]), [1.0, 1.0], tokens(ordinal))
loss("ordinal_image", "ordinal", {}, x(2, 3, 2, 2), classes(4, 2, 2, 2), [1.0, 1.0], ordinal)
loss("ordinal_none_present", "ordinal", {}, x(2, 3), classes(4, 2), [0.0, 0.0], ordinal)


def crf(prediction, target):
    """Every path by itself; a place without a label is passed over."""
    labels = round((prediction.shape[2] + 1) ** 0.5) - 1
    losses = []
    for scores, path in zip(prediction, target):
        places = (path >= 0).nonzero().flatten().tolist()
        if not places:
            continue
        scores = scores.reshape(len(path), labels + 2, labels)

        def score(y):
            total = scores[places[0], labels, y[0]] + scores[places[-1], labels + 1, y[-1]]
            return total + sum(scores[t, a, b] for t, a, b in zip(places[1:], y, y[1:]))

        every = torch.stack([score(y) for y in itertools.product(range(labels), repeat=len(places))])
        losses.append(every.logsumexp(0) - score(path[places].tolist()))
    return torch.stack(losses).mean() if losses else (prediction * 0).sum()


loss("crf", "crf", {}, x(3, 4, 15), classes(3, 3, 4), [1.0, 1.0, 1.0], crf)
loss("crf_suffix", "crf", {}, x(3, 4, 15), given("data", [[0, 2, -1, -1], [1, -1, -1, -1], [2, 2, 0, 1]]), [1.0, 1.0, 1.0], crf)
loss("crf_gaps", "crf", {}, x(4, 5, 8), given("data", [[-1, 0, -1, 1, -1], [1, -1, -1, -1, 0], [-1] * 5, [0, 0, 1, 1, 1]]), [1.0, 1.0, 1.0, 0.0], crf)
loss("crf_none_present", "crf", {}, x(2, 3, 8), classes(2, 2, 3), [0.0, 0.0], crf)
loss("crf_none_labelled", "crf", {}, x(2, 3, 8), given("data", [[-1] * 3] * 2), [1.0, 1.0], crf)
loss("crf_one_token", "crf", {}, x(2, 1, 24), classes(4, 2, 1), [1.0, 1.0], crf)
loss("crf_one_label", "crf", {}, x(2, 3, 3), classes(1, 2, 3), [1.0, 1.0], crf)
loss("crf_large", "crf", {}, x(2, 3, 8, scale=300.0), classes(2, 2, 3), [1.0, 1.0], crf, smooth=False)


def potentials(v, w, start, end):
    batch, tokens_, n = v.shape
    steps = v.unsqueeze(2) + torch.cat([w, start.unsqueeze(0)])
    return torch.cat([steps, end.expand(batch, tokens_, 1, n)], 2).reshape(batch, tokens_, n * (n + 2))


for label, shape in [("", (2, 3, 4)), ("_one", (3, 1, 1)), ("_odd", (1, 7, 3))]:
    n = shape[2]
    case(f"potentials{label}", "potentials", {}, {"x": x(*shape), "w": p(n, n), "start": p(n), "end": p(n)}, potentials)


def dice(smooth):
    def reference(prediction, target):
        if target.is_floating_point():
            probability, right = prediction.sigmoid().reshape(-1, 1), target.reshape(-1, 1)
        else:
            c = prediction.shape[1]
            flat = target.flatten()
            probability = prediction.softmax(1).movedim(1, -1).reshape(-1, c)[flat >= 0]
            right = F.one_hot(flat[flat >= 0], c).double()
        both = 2 * (probability * right).sum(0) + smooth
        return 1 - (both / (probability.sum(0) + right.sum(0) + smooth)).mean()

    return {"smooth": smooth}, reference


attributes, reference = dice(1.0)
loss("dice_classes", "dice", attributes, x(2, 3, 3, 2), classes(3, 2, 3, 2), [1.0, 1.0], reference)
loss("dice_missing", "dice", attributes, x(3, 2, 2, 2), given("data", [[[0, 1], [-1, 1]], [[0, 0], [0, 0]], [[1, 1], [0, -1]]]), [1.0, 0.0, 1.0], reference)
loss("dice_vectors", "dice", attributes, x(4, 3), classes(3, 4), [1.0, 1.0, 0.0, 1.0], reference)
attributes, reference = dice(0.01)
binary = given("data", [[[[0.0, 1.0], [1.0, 1.0]]], [[[NAN] * 2] * 2], [[[0.0, 0.0], [1.0, 0.0]]]])
loss("dice_binary", "dice", attributes, x(3, 1, 2, 2), binary, [1.0, 0.0, 1.0], reference)
loss("dice_gaps", "dice", attributes, x(2, 1, 2, 2), given("data", [[[[0.0, NAN], [1.0, 1.0]]], [[[NAN, 0.0], [1.0, NAN]]]]), [1.0, 1.0],
     lambda a, b, f=reference: f(a[~b.isnan()], b[~b.isnan()]))

ROWS = [[0.5, -1.0], [NAN, NAN], [2.0, 0.25], [-0.5, 3.0]]
MISSING = [1.0, 0.0, 1.0, 1.0]


def regression(op, attributes, f, smooth=True):
    loss(op, op, attributes, x(4, 3), data(4, 3), [1.0] * 4, f, smooth)
    loss(f"{op}_missing", op, attributes, x(4, 2), given("data", ROWS), MISSING, f, smooth)
    loss(f"{op}_image", op, attributes, x(2, 1, 3, 2), data(2, 1, 3, 2), [0.0, 1.0], f, smooth)
    loss(f"{op}_none_present", op, attributes, x(2, 3), given("data", [[NAN] * 3, [0.0] * 3]), [0.0, 0.0], f, smooth)


regression("mse", {}, F.mse_loss)
regression("l1", {}, F.l1_loss, False)
regression("huber", {"delta": 0.7}, lambda a, b: F.huber_loss(a, b, delta=0.7), False)
regression("smooth_l1", {"beta": 0.7}, lambda a, b: F.smooth_l1_loss(a, b, beta=0.7), False)
def cosine(a, b):
    dim = 2 if a.dim() == 3 else 1
    a, b = a.movedim(dim, -1), b.movedim(dim, -1)
    whole = ~b.isnan().any(-1)
    return (1 - F.cosine_similarity(a[whole], b[whole], dim=-1)).mean()


regression("cosine", {}, cosine)
loss("cosine_normals", "cosine", {}, x(2, 3, 2, 4), data(2, 3, 2, 4), [1.0, 1.0], cosine)
loss("cosine_tokens", "cosine", {}, x(3, 2, 5), data(3, 2, 5), [1.0, 0.0, 1.0], cosine)
for op, attributes, f in [("mse", {}, F.mse_loss), ("l1", {}, F.l1_loss), ("huber", {"delta": 1.0}, F.huber_loss)]:
    loss(f"{op}_numbers", op, attributes, given("x", [1.0, -2.0, 0.5]), given("data", [1.0, -1.0, 4.0]), [1.0] * 3, f, op == "mse")


def gaps(reference):
    return lambda a, b: reference(a[~b.isnan()], b[~b.isnan()])


# Pixels whose target is missing, beside others that count, and a row without any.
GAPS = [[[[NAN, 0.5], [-1.0, NAN]]], [[[0.25, 1.5], [NAN, 2.0]]], [[[NAN, NAN], [NAN, NAN]]], [[[1.0, 1.0], [1.0, 1.0]]]]
for op, attributes, f, smooth in [
    ("mse", {}, F.mse_loss, True),
    ("l1", {}, F.l1_loss, False),
    ("huber", {"delta": 0.7}, lambda a, b: F.huber_loss(a, b, delta=0.7), False),
    ("smooth_l1", {"beta": 0.7}, lambda a, b: F.smooth_l1_loss(a, b, beta=0.7), False),
    ("bce_with_logits", {"positive_weight": None}, F.binary_cross_entropy_with_logits, True),
]:
    loss(f"{op}_gaps", op, attributes, x(4, 1, 2, 2), given("data", GAPS), [1.0, 1.0, 0.0, 0.0], gaps(f), smooth)
    loss(f"{op}_gaps_alone", op, attributes, x(1, 1, 2, 2), given("data", GAPS[2:3]), [1.0], lambda a, b: (a * 0).sum(), smooth)
loss("cosine_gaps", "cosine", {}, x(2, 2, 1, 3), given("data", [[[[1.0, NAN, 0.5]], [[2.0, 1.0, 1.0]]]] * 2), [1.0, 1.0], cosine)


def berhu(threshold):
    def reference(a, b):
        e = (a - b).abs()
        c = threshold * e.detach().max()
        return torch.where(e <= c, e, (e * e + c * c) / (2 * c)).mean()

    return reference


# A finite difference sees the constant `c` move, so these count as not smooth.
regression("berhu", {"threshold": 0.2}, berhu(0.2), False)
loss("berhu_gaps", "berhu", {"threshold": 0.2}, x(4, 1, 2, 2), given("data", GAPS), [1.0, 1.0, 0.0, 0.0], gaps(berhu(0.2)), False)
loss("berhu_exact", "berhu", {"threshold": 0.2}, given("x", [[1.0, 2.0]]), given("data", [[1.0, 2.0]]), [1.0],
     lambda a, b: (a - b).abs().sum(), False)


def silog(lam):
    def reference(a, b):
        valid = b > 0
        d = a[valid].clamp(min=1e-6).log() - b[valid].log()
        return (d * d).mean() - lam * d.mean() ** 2

    return {"lambda": lam}, reference


attributes, reference = silog(0.5)
loss("silog", "silog", attributes, positive("x", 3, 4), positive("data", 3, 4), [1.0] * 3, reference)
loss("silog_invalid", "silog", attributes, positive("x", 3, 1, 2, 2),
     given("data", [[[[1.0, 0.0], [2.0, -1.0]]], [[[NAN] * 2] * 2], [[[0.5, 0.0], [0.0, 3.0]]]]), [1.0, 0.0, 1.0], reference)
loss("silog_clamped", "silog", attributes, given("x", [[-1.0, 0.5], [0.0, 2.0]]), given("data", [[1.0, 2.0], [0.5, 1.0]]), [1.0, 1.0], reference, False)
loss("silog_gaps", "silog", attributes, positive("x", 4, 1, 2, 2), given("data", GAPS), [1.0, 1.0, 0.0, 0.0], reference)
attributes, reference = silog(1.0)
loss("silog_invariant", "silog", attributes, positive("x", 2, 3), positive("data", 2, 3), [1.0, 1.0], reference)


def bce(weight=None):
    w = None if weight is None else torch.tensor(weight).double()
    return {"positive_weight": weight}, lambda a, b: F.binary_cross_entropy_with_logits(a, b, pos_weight=w)


attributes, reference = bce()
truth = given("data", [[0.0, 1.0, 0.3], [1.0, 1.0, 0.0]])
loss("bce_with_logits", "bce_with_logits", attributes, x(2, 3, scale=2.0), truth, [1.0, 1.0], reference)
loss("bce_with_logits_missing", "bce_with_logits", attributes, x(3, 1), given("data", [[1.0], [NAN], [0.0]]), [1.0, 0.0, 1.0], reference)
loss("bce_with_logits_large", "bce_with_logits", attributes, given("x", [[200.0, -200.0, 0.0]]), given("data", [[0.0, 1.0, 1.0]]), [1.0], reference)
loss("bce_with_logits_none_present", "bce_with_logits", attributes, x(1, 2), given("data", [[NAN, NAN]]), [0.0], reference)
attributes, reference = bce(3.0)
loss("bce_with_logits_weight", "bce_with_logits", attributes, x(2, 3, scale=2.0), truth, [1.0, 1.0], reference)
loss("bce_with_logits_image", "bce_with_logits", attributes, x(2, 1, 2, 2), given("data", [[[[0.0, 1.0], [1.0, 0.0]]]] * 2), [1.0, 1.0], reference)

# --- boxes: what a detector makes of a map, and the loss of it. The reference knows torchvision's IoU and CIoU, and its own assignment.


def detect(stride):
    def reference(t):
        n, channels, h, w = t.shape
        k = channels - 4
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres = torch.stack([x * stride[1], y * stride[0]], -1).reshape(1, h * w, 2).double().expand(n, -1, -1)
        cells = t.flatten(2).transpose(1, 2)
        away = F.softplus(cells[..., k:]) * torch.tensor([stride[1], stride[0]] * 2).double()
        return torch.cat([cells[..., :k], centres - away[..., :2], centres + away[..., 2:], centres], -1)

    return {"stride": stride}, reference


for name, stride, shape in [("detect", [8, 8], (2, 8, 2, 3)), ("detect_strides", [4, 2], (1, 6, 3, 1)), ("detect_one", [16, 16], (3, 7, 1, 1))]:
    attributes, reference = detect(stride)
    case(name, "detect", attributes, {"x": x(*shape, scale=2.0)}, reference)


def assigned(cells, boxes, candidates, alpha, beta):
    """For one image: (cell, box, weight, soft target, IoU) of every assigned cell, by dense matrices."""
    classes = cells.shape[1] - 7
    boxes = boxes[boxes[:, 0] >= 0]
    if not len(boxes):
        return []
    overlap = torchvision.ops.box_iou(boxes[:, 1:], cells[:, classes + 1:classes + 5])
    aligned = cells[:, boxes[:, 0].long()].sigmoid().T ** alpha * overlap ** beta
    centre = cells[:, None, classes + 5:].transpose(0, 1)
    inside = ((centre > boxes[:, None, 1:3]) & (centre < boxes[:, None, 3:])).all(-1)
    distance = (centre - (boxes[:, None, 1:3] + boxes[:, None, 3:]) / 2).pow(2).sum(-1)
    lonely = ~inside.any(1)
    inside[lonely] = F.one_hot(distance.argmin(1), cells.shape[0]).bool()[lonely]
    chosen = torch.zeros_like(inside)
    best = torch.where(inside, aligned, -1.0).topk(min(candidates, cells.shape[0]), dim=1).indices
    chosen.scatter_(1, best, True)
    chosen &= inside
    owner = torch.where(chosen, overlap, -1.0).argmax(0)
    chosen &= F.one_hot(owner, len(boxes)).T.bool()
    most_aligned = (aligned * chosen).amax(1, keepdim=True)
    weight = torch.where(most_aligned > 0, aligned / most_aligned, 1.0)
    soft = weight * (overlap * chosen).amax(1, keepdim=True)
    return [(c, boxes[b], weight[b, c], soft[b, c], overlap[b, c]) for b, c in chosen.nonzero().tolist()]


def detection(class_weight, box_weight, quality_weight, candidates, alpha=1.0, beta=6.0):
    def reference(cells, boxes):
        classes = cells.shape[2] - 7
        soft = torch.zeros_like(cells[..., :classes])
        weights, far, quality = [], [], []
        for row, (own, truth) in enumerate(zip(cells, boxes)):
            for cell, box, weight, target, iou in assigned(own.detach(), truth.detach(), candidates, alpha, beta):
                soft[row, cell, int(box[0])] = target
                weights.append(weight)
                corners = own[cell, classes + 1:classes + 5]
                far.append(weight * torchvision.ops.complete_box_iou_loss(corners, box[1:]))
                quality.append(weight * F.binary_cross_entropy_with_logits(own[cell, classes], iou))
        total = F.binary_cross_entropy_with_logits(cells[..., :classes], soft, reduction="sum") / soft.sum().clamp(min=1)
        total = class_weight * total
        if weights:
            total = total + (box_weight * sum(far) + quality_weight * sum(quality)) / sum(weights)
        return total

    attributes = {"class_weight": class_weight, "box_weight": box_weight, "quality_weight": quality_weight,
                  "candidates": candidates, "alpha": alpha, "beta": beta}
    return attributes, reference


def cells(n, h, w, classes, stride):
    """What `detect` gives of a random map."""
    def make():
        t = torch.randn((n, classes + 5, h, w), generator=rng).float()
        return "x", detect([stride, stride])[1](t.double()).float()

    return make


NONE = [-1.0, 0.0, 0.0, 0.0, 0.0]
SCENES = [
    [[0.0, 2.5, 3.0, 17.0, 14.5], [1.0, 9.0, 1.5, 28.0, 20.0], [2.0, 6.0, 8.0, 15.5, 21.0]],  # boxes that meet
    [[1.0, 1.0, 1.5, 30.0, 22.0], NONE, [0.0, 19.0, 9.2, 20.5, 10.4]],  # one over all, and one that holds no centre
    [NONE, NONE, NONE],  # an image without boxes
    [NONE, [2.0, -4.0, 5.0, 12.0, 31.0], NONE],  # beyond the border
]
for name, arguments, rows, presence in [
    ("detection", (1.0, 2.0, 1.0, 10), SCENES, [1.0] * 4),
    ("detection_few_candidates", (0.5, 7.5, 0.25, 2, 0.5, 3.0), SCENES, [1.0, 1.0, 1.0, 1.0]),
    ("detection_missing", (1.0, 2.0, 1.0, 4), SCENES[:3] + [[[NAN] * 5] * 3], [1.0, 0.0, 1.0, 0.0]),
    ("detection_without_boxes", (1.0, 2.0, 1.0, 4), [SCENES[2]] * 2, [1.0, 1.0]),
    ("detection_unlabelled", (1.0, 2.0, 1.0, 4), [[[NAN] * 5] * 3] * 2, [0.0, 0.0]),
    ("detection_boxes_alone", (0.0, 1.0, 0.0, 3), SCENES[:2], [1.0, 1.0]),
]:
    attributes, reference = detection(*arguments)
    loss(name, "detection", attributes, cells(len(rows), 3, 4, 3, 8), given("data", rows), presence, reference, False)
attributes, reference = detection(1.0, 1.0, 1.0, 5)
loss("detection_one_class", "detection", attributes, cells(2, 1, 5, 1, 4),
     given("data", [[[0.0, 1.0, 0.5, 11.0, 3.5]], [[0.0, 9.0, 1.0, 18.0, 2.5]]]), [1.0, 1.0], reference, False)

case("weighted_sum", "weighted_sum", {"weights": [1.0, 0.5, -2.0]}, {"a": x(), "b": x(), "c": x()},
     lambda a, b, c: a + 0.5 * b - 2 * c, batched=False)
case("weighted_sum_single", "weighted_sum", {"weights": [1.0]}, {"a": x()}, lambda a: a.clone(), batched=False)


def balance(name, formula, weights, reference, has_numbers=False, absent=()):
    """Losses of 1 to 2 or so, a presence for each, and numbers; `reference` takes what is present. Numbers have no gradient."""
    tasks = len(weights)
    inputs = {f"loss{i}": positive("x") for i in range(tasks)}
    inputs |= {f"present{i}": given("data", [0.0, 0.0] if i in absent else [0.0, 1.0]) for i in range(tasks)}
    inputs |= {"numbers": p(tasks)} if has_numbers else {}

    def call(*given):
        there = [i for i in range(tasks) if i not in absent]
        pick = lambda values: torch.stack([values[i] for i in there]) if there else torch.zeros(0, dtype=torch.float64)
        n = given[-1].detach() if has_numbers else torch.ones(tasks, dtype=torch.float64)
        if not there:
            return 0.0 * sum(given[:tasks])
        return reference(pick(torch.tensor(weights, dtype=torch.float64)), pick(given[:tasks]), pick(n))

    # Numbers change the value and have no gradient, which finite differences would not understand.
    case(name, "balance", {"formula": formula, "weights": weights}, inputs, call, batched=False, smooth=not has_numbers)


EPSILON = {"epsilon": 1e-3}
for suffix, weights, absent in [("", [1.0, 0.3, 2.0], ()), ("_absent", [1.0, 0.3, 2.0], (1,)), ("_none", [0.7, 1.0], (0, 1))]:
    balance(f"balance_weighted{suffix}", "weighted", weights, lambda w, l, n: (w * l * n).sum(), True, absent)
    balance(f"balance_mean{suffix}", {"mean": {"parts": 3}}, weights, lambda w, l, n: (w * l).sum() / 3, False, absent)
    balance(f"balance_log{suffix}", {"log": EPSILON}, weights, lambda w, l, n: (w * torch.log(l + 1e-3)).sum(), False, absent)
    balance(f"balance_geometric{suffix}", {"geometric": EPSILON}, weights, lambda w, l, n: torch.prod((l + 1e-3) ** (w / w.sum())), False, absent)
    balance(f"balance_uncertainty{suffix}", "uncertainty", weights, lambda w, l, n: (w * (0.5 * torch.exp(-n) * l + 0.5 * n)).sum(), True, absent)
    balance(f"balance_imtl_l{suffix}", "imtl_l", weights, lambda w, l, n: (w * (torch.exp(n) * l - n)).sum(), True, absent)
    balance(f"balance_famo{suffix}", {"famo": EPSILON}, weights, lambda w, l, n: (torch.softmax(n, 0) * torch.log(w * l + 1e-3)).sum(), True, absent)
    ideal = [0.1, 0.2, 0.3][: len(weights)]
    there = torch.tensor([z for i, z in enumerate(ideal) if i not in absent], dtype=torch.float64)
    chebyshev = lambda w, l, n, z=there: 0.2 * torch.logsumexp(w * (l - z) / 0.2, 0)
    balance(f"balance_chebyshev{suffix}", {"chebyshev": {"mu": 0.2, "ideal": ideal}}, weights, chebyshev, False, absent)

# --- epilogues: a residual and an activation folded into an op --------------------------------------------------------

ACTIVATIONS = {
    "relu": ("relu", F.relu, False),
    "relu6": ("relu6", F.relu6, False),
    "leaky_relu": ({"leaky_relu": 0.2}, lambda t: F.leaky_relu(t, 0.2), False),
    "hardswish": ("hardswish", F.hardswish, False),
    "silu": ("silu", F.silu, True),
    "gelu": ("gelu", F.gelu, True),
    "sigmoid": ("sigmoid", torch.sigmoid, True),
    "tanh": ("tanh", torch.tanh, True),
}


def epilogue(name, op, attributes, inputs, shape, residual, activation, own):
    """The op `own` with a residual of `shape`, an activation, or both."""
    inputs, folded, f, smooth = dict(inputs), {}, lambda t: t, True
    if residual:
        inputs["residual"] = x(*shape)
        folded["residual"] = True
    if activation:
        folded["activation"], f, smooth = ACTIVATIONS[activation]

    def reference(*values):
        own_values, rest = (values[:-1], values[-1]) if residual else (values, 0.0)
        return f(own(*own_values) + rest)

    case(name, op, {**attributes, "epilogue": folded}, inputs, reference, smooth=smooth)


for activation in ACTIVATIONS:
    residual = activation in ("relu", "gelu", "tanh")
    epilogue(f"linear_{activation}", "linear", {"bias": True}, {"x": x(3, 5), "w": p(34, 5), "b": p(34)}, (3, 34),
             residual, activation, F.linear)
    epilogue(f"conv2d_{activation}", "conv2d",
             {"stride": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1, "bias": True},
             {"x": x(2, 3, 4, 5), "w": p(34, 3, 3, 3), "b": p(34)}, (2, 34, 4, 5), residual, activation,
             lambda v, w, b: F.conv2d(v, w, b, 1, 1))
    epilogue(f"conv2d_depthwise_{activation}", "conv2d",
             {"stride": [2, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 5, "bias": False},
             {"x": x(2, 5, 5, 4), "w": p(5, 1, 3, 3)}, (2, 5, 3, 4), residual, activation,
             lambda v, w: F.conv2d(v, w, None, (2, 1), 1, 1, 5))
epilogue("linear_residual", "linear", {"bias": False}, {"x": x(2, 3, 5), "w": p(4, 5)}, (2, 3, 4), True, None, F.linear)
epilogue("conv2d_residual", "conv2d", {"stride": [2, 2], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": 1, "bias": False},
         {"x": x(2, 3, 5, 5), "w": p(4, 3, 1, 1)}, (2, 4, 3, 3), True, None, lambda v, w: F.conv2d(v, w, None, 2))
for label, shape in SHAPES.items():
    c, axes = shape[1], AXES[len(shape)]
    wide = lambda t, n=len(shape): t.reshape([1, -1] + [1] * (n - 2))
    for given_or_own in ("given", "own"):
        for residual, activation in [(False, None), (False, "relu6"), (True, "relu"), (True, "leaky_relu")]:
            if (given_or_own, residual, activation) == ("given", False, None):
                continue
            own_moments = given_or_own == "own"
            drawn = {}

            def draw_x(shape=shape, drawn=drawn):
                drawn["x"] = torch.randn(shape, generator=rng)
                return "x", drawn["x"]

            def moment(f, c=c, own_moments=own_moments, axes=axes, drawn=drawn):
                value = f(drawn["x"].double(), axes) if own_moments else torch.rand(c, generator=rng) + 0.3
                return "p", value.float()

            def norm(t, m, v, g, b, axes=axes, wide=wide, own_moments=own_moments):
                if own_moments:
                    m, v = t.mean(axes), t.var(axes, unbiased=False)
                return (t - wide(m)) / (wide(v) + 1e-3).sqrt() * wide(g) + wide(b)

            epilogue(f"batch_norm_{given_or_own}_{label}_{activation}{'_residual' * residual}", "batch_norm",
                     {"epsilon": 1e-3, "own_moments": own_moments},
                     {"x": draw_x, "mean": lambda moment=moment: moment(lambda t, axes: t.mean(axes)),
                      "var": lambda moment=moment: moment(lambda t, axes: t.var(axes, unbiased=False)), "gamma": p(c), "beta": p(c)},
                     shape, residual, activation, norm)

for channels_last in (False, True):
    case(f"relayout_{'channels_last' if channels_last else 'row_major'}", "relayout", {"channels_last": channels_last},
         {"x": x(2, 3, 4, 5)}, lambda t: t)

here = pathlib.Path(__file__).parent
save_file(dict(sorted(tensors.items())), here / "ops.safetensors")
lines = ",\n".join("  " + json.dumps(c) for c in cases)
(here / "ops.json").write_text(f"[\n{lines}\n]\n")
print(f"{len(cases)} cases")
