"""Files of weights as PyTorch, NumPy and safetensors write them, small, with what they hold in weights.json.

Writes tests/goldens/weights/*. See .github/CONTRIBUTING.md for the environment.
"""

import json
import os
import pathlib
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent / "weights"
EXPECTED = {}


def expect(file, tensors):
    """What the file holds, in its order: shape, type, and values where the type is a parameter's."""
    EXPECTED[file] = [
        {
            "name": name,
            "shape": list(t.shape),
            "type": str(t.dtype).removeprefix("torch."),
            "values": t.detach().float().flatten().tolist() if t.dtype.is_floating_point else None,
        }
        for name, t in tensors.items()
    ]


def torch_file(name, value, tensors=None, **how):
    expect(name, value if tensors is None else tensors)
    torch.save(value, HERE / name, **how)


def state():
    """Tensors of every kind: shared storages with offsets, transposed, expanded, empty, scalar, of every type."""
    random = torch.Generator().manual_seed(7)
    base = torch.randn(4, 6, generator=random)
    image = torch.randn(2, 3, 4, 5, generator=random)
    return OrderedDict(
        [
            ("module.plain.weight", base.clone()),
            ("module.transposed.weight", torch.randn(5, 3, generator=random).t()),
            ("module.channels_last.weight", image.contiguous(memory_format=torch.channels_last)),
            ("module.permuted.weight", image.permute(3, 0, 2, 1)),
            ("module.rows.weight", base[1:3]),
            ("module.columns.weight", base[:, 2:5:2]),
            ("module.tied.weight", base),
            ("module.expanded.weight", torch.tensor([1.5, -2.5]).unsqueeze(1).expand(2, 3)),
            ("module.one.weight", torch.randn(1, 7, generator=random).t()[:, :1]),
            ("module.scalar", torch.tensor(3.25)),
            ("module.empty", torch.zeros(0, 3)),
            ("module.half.weight", torch.tensor([1.0, -0.333, 6.1e-5, 5.96e-8, 65504.0], dtype=torch.float16)),
            ("module.bfloat.weight", torch.tensor([[1.0, -0.333], [3.0e38, 1e-40]], dtype=torch.bfloat16)),
            ("module.double.weight", torch.tensor([0.1, -1e-300, 1e38], dtype=torch.float64)),
            ("module.num_batches_tracked", torch.tensor(12)),
            ("module.ids", torch.arange(6, dtype=torch.int32).view(2, 3)),
            ("module.bytes", torch.arange(3, dtype=torch.uint8)),
            ("module.mask", torch.tensor([True, False])),
        ]
    )


class Command:
    """Runs a command where a pickle of it is loaded by Python."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def main():
    HERE.mkdir(exist_ok=True)
    torch_file("legacy.pth", state(), _use_new_zipfile_serialization=False)
    torch_file("zip.pth", state())
    torch_file("protocol4.pth", state(), pickle_protocol=4)
    torch_file("legacy4.pth", state(), pickle_protocol=4, _use_new_zipfile_serialization=False)

    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    model(torch.randn(4, 3))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    torch_file("module_state.bin", model.state_dict())
    checkpoint = {
        "epoch": 3,
        "best": 0.25,
        "betas": (0.9, 0.999),
        "args": None,
        "name": "a model",
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }
    torch_file("checkpoint.pt", checkpoint, model.state_dict())
    torch_file("checkpoint_legacy.pt", checkpoint, model.state_dict(), _use_new_zipfile_serialization=False)
    nested = {"model": {"state_dict": dict(model.named_parameters())}}
    torch_file("nested.pt", nested, dict(model.named_parameters()))
    parts = {"encoder": {"w": torch.ones(2)}, "heads": [{"w": torch.zeros(1)}, {"w": torch.full((1, 1), 2.0)}]}
    torch_file("parts.pt", parts, {"encoder.w": torch.ones(2), "heads.0.w": torch.zeros(1), "heads.1.w": torch.full((1, 1), 2.0)})
    odd = {"unsigned": torch.tensor([1, 2], dtype=torch.uint16), "complex": torch.ones(2, dtype=torch.complex64), "kept": torch.ones(1)}
    torch_file("odd_types.pt", odd)
    expect("legacy_cuda.pth", {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
    torch.save({"w": torch.tensor([[1.0, 3.0], [2.0, 4.0]]).t()}, HERE / "legacy_cuda.pth", _use_new_zipfile_serialization=False)
    # Where the storage was is a word in the pickle; nothing but that word tells a file of another device.
    data = (HERE / "legacy_cuda.pth").read_bytes()
    assert b"X\x03\x00\x00\x00cpu" in data
    (HERE / "legacy_cuda.pth").write_bytes(data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))

    plain = {name: t.contiguous().clone() for name, t in state().items() if t.dtype != torch.uint8}
    save_file(plain, HERE / "all.safetensors", metadata={"format": "pt"})
    # The order of a safetensors file is that of its data: by size of the type, then by name.
    from safetensors import safe_open

    with safe_open(HERE / "all.safetensors", "pt") as file:
        expect("all.safetensors", {name: plain[name] for name in file.offset_keys()})
    first = {"b.weight": torch.randn(2, 2), "a.bias": torch.randn(3)}
    second = {"a.weight": torch.randn(3, 1).half()}
    save_file(first, HERE / "model-00001-of-00002.safetensors")
    save_file(second, HERE / "model-00002-of-00002.safetensors")
    order = ["a.weight", "a.bias", "b.weight"]
    index = {
        "metadata": {"total_size": 34},
        "weight_map": {n: f"model-0000{1 if n in first else 2}-of-00002.safetensors" for n in order},
    }
    (HERE / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    expect("model.safetensors.index.json", {n: (first | second)[n] for n in order})
    for escape, shard in [("up", "../all.safetensors"), ("root", "/etc/passwd")]:
        text = json.dumps({"weight_map": {"a": shard}}) + "\n"
        (HERE / f"escape_{escape}.index.json").write_text(text)

    arrays = {
        "w": np.arange(6, dtype="<f4").reshape(2, 3) / 4,
        "fortran": np.asfortranarray(np.arange(24, dtype="<f8").reshape(2, 3, 4) / 8),
        "big": np.array([1.5, -2.25], dtype=">f4"),
        "half": np.array([[0.5], [0.1]], dtype="<f2"),
        "scalar": np.array(2.5, dtype="<f4"),
        "step": np.array(7),
    }
    np.savez(HERE / "stored.npz", **arrays)
    np.savez_compressed(HERE / "packed.npz", **arrays)
    native = {n: torch.from_numpy(np.array(a, dtype=a.dtype.newbyteorder("="))) for n, a in arrays.items()}
    expect("stored.npz", native)
    expect("packed.npz", native)

    for name, legacy in [("system_zip.pth", False), ("system_legacy.pth", True)]:
        evil = {"w": torch.ones(2), "x": Command(os.system, "touch executed")}
        torch.save(evil, HERE / name, _use_new_zipfile_serialization=not legacy)
    torch.save({"x": Command(eval, "open('executed', 'w')")}, HERE / "eval.pth")
    torch.save({"x": Command(getattr, "a", "upper")}, HERE / "getattr.pth", pickle_protocol=4)
    torch.save(torch.nn.Linear(1, 1), HERE / "module.pth")

    (HERE / "weights.json").write_text(json.dumps(EXPECTED, indent=1).replace("Infinity", "1e999") + "\n")


if __name__ == "__main__":
    main()
