"""Writes crf.json: what pytorch-crf says of chains of labels, its loss, every gradient and its best paths.

Run with pytorch-crf 0.7: python tests/goldens/make_crf.py
"""

import json
import pathlib

import torch
import torchcrf

cases = []
for seed, (batch, tokens, labels) in enumerate([(1, 1, 2), (3, 5, 4), (4, 9, 3), (2, 16, 12)]):
    rng = torch.Generator().manual_seed(seed)
    crf = torchcrf.CRF(labels, batch_first=True).double()
    with torch.no_grad():
        for p in crf.parameters():
            p.copy_(torch.randn(p.shape, generator=rng).float())
    emissions = torch.randn(batch, tokens, labels, generator=rng).mul(2).double().requires_grad_()
    tags = torch.randint(0, labels, (batch, tokens), generator=rng)
    lengths = torch.randint(1, tokens + 1, (batch,), generator=rng)
    lengths[0] = tokens
    mask = torch.arange(tokens) < lengths.unsqueeze(1)
    loss = -crf(emissions, tags, mask=mask, reduction="mean")
    loss.backward()
    numbers = lambda t: t.detach().float().flatten().tolist()
    tables = {"transitions": crf.transitions, "start": crf.start_transitions, "end": crf.end_transitions}
    cases.append({
        "dims": [batch, tokens, labels],
        "emissions": numbers(emissions),
        "emissions.grad": numbers(emissions.grad),
        **{name: numbers(p) for name, p in tables.items()},
        **{f"{name}.grad": numbers(torch.zeros_like(p) if p.grad is None else p.grad) for name, p in tables.items()},
        "tags": torch.where(mask, tags, -1).flatten().tolist(),
        "loss": loss.item(),
        "paths": crf.decode(emissions, mask=mask),
    })
text = json.dumps(cases, separators=(",", ":")).replace('{"dims"', '\n{"dims"')
pathlib.Path(__file__).with_name("crf.json").write_text(text + "\n")
