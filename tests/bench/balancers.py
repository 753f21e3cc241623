"""A training step with several balancers, beside TorchJD on PyTorch. `README.md` says what is measured.

    python tests/bench/balancers.py [--rounds R] [--seconds S] [--only NAME] [--mtlc BINARY]

ResNet-18 with the three heads of `specs/three_heads.mtl`, eight images of 224 × 224, two threads on both sides. Peers run in turns, and the
table has the minima. It needs the environment of `peers.sh`, and torchjd 0.18 with cvxpy.
"""

import argparse
import os
import tempfile

import torch
import torch.nn.functional as F
import torchjd.aggregation as jd
from torchjd.autojac import jac_to_grad, mtl_backward

import peers
import twins

THREADS, BATCH, GOAL = 2, 8, 0.5
BALANCERS = {
    "uniform": None,
    "pcgrad": jd.PCGrad,
    "cagrad": lambda: jd.CAGrad(c=0.4),
    "mgda": jd.MGDA,
    "nash": lambda: jd.NashMTL(n_tasks=3),
}


def spec(balancer, folder):
    """The spec with that balancer, in a file."""
    with open(peers.path("three_heads")) as file:
        text = file.read()
    path = os.path.join(folder, f"{balancer}.mtl")
    with open(path, "w") as file:
        file.write(text.replace("\ntrain {", f"\nbalance {balancer}\n\ntrain {{", 1))
    return path


class Mtlc(peers.Mtlc):
    def __init__(self, mtlc, balancer):
        with tempfile.TemporaryDirectory() as folder:
            written = spec(balancer, folder)
            # The command names a spec of the folder `specs`; this one lies elsewhere.
            named, peers.path = peers.path, lambda _: written
            try:
                super().__init__(mtlc, "three_heads", "train", BATCH, THREADS)
            finally:
                peers.path = named


class Peer:
    """The same step in PyTorch: every loss, one gradient for each parameter, the optimizer."""

    def __init__(self, ours, balancer):
        self.model = twins.loaded("three_heads", ours.weights).train()
        self.optimizer = twins.optimizer("three_heads", self.model)
        rows = {name: torch.from_numpy(array) for name, array in ours.rows.items()}
        self.image, self.kind, self.breed, self.place = (rows[name] for name in ("image", "kind", "breed", "place"))
        self.kind, self.breed = self.kind.long(), self.breed.long()
        self.aggregator = BALANCERS[balancer] and BALANCERS[balancer]()
        self.first = [self.once() for _ in range(peers.WARM_UP)]

    def once(self):
        model = self.model
        self.optimizer.zero_grad(set_to_none=True)
        features = model.trunk(self.image)
        losses = [
            F.cross_entropy(model.kinds(features), self.kind),
            F.cross_entropy(model.breeds(features), self.breed),
            F.mse_loss(model.places(features), self.place),
        ]
        if self.aggregator is None:
            sum(losses).backward()
        else:
            # One after the other: in parallel, by vmap, it takes longer here and cannot see through the norms.
            mtl_backward(losses, features=features, parallel_chunk_size=1)
            jac_to_grad(list(model.trunk.parameters()), self.aggregator)
        self.optimizer.step()
        return float(sum(losses))

    def measure(self, seconds):
        return peers.burst(self.once, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only balancers whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a burst")
    parser.add_argument("--mtlc", default=os.path.join(peers.HERE, "..", "..", "target", "release", "mtlc"))
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    print("| balancer | mtlc | PyTorch, TorchJD | mtlc over it | goal | first objective differs by |")
    print("| --- | --: | --: | --: | --: | --: |")
    for balancer in (name for name in BALANCERS if args.only in name):
        ours = Mtlc(args.mtlc, balancer)
        theirs = Peer(ours, balancer)
        # The first step begins from the same weights; later ones follow each side's own solver.
        difference = abs(float(ours.first[0]) - theirs.first[0]) / abs(theirs.first[0])
        assert difference < 1e-3, f"{balancer}: {ours.first} and {theirs.first}"
        least = [float("inf")] * 2
        for round in range(args.rounds):
            for side in ((0, 1), (1, 0))[round % 2]:
                least[side] = min(least[side], (ours, theirs)[side].measure(args.seconds))
        ours.close()
        goal = "" if balancer == "uniform" else f"{GOAL}×"
        print(f"| {balancer} | {least[0]:.0f} ms | {least[1]:.0f} ms | {least[0] / least[1]:.2f}× | {goal} | {difference:.0e} |", flush=True)


if __name__ == "__main__":
    main()
