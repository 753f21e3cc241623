"""Writes balancers.json: what TorchJD, or the formula of the paper in float64, makes of fixed Jacobians, for tests/balancers.rs.

Run with PyTorch 2, numpy, scipy, torchjd 0.18 with quadprog, qpsolvers and cvxpy: python tests/goldens/make_balancers.py
A case is a Jacobian, whose numbers are float32 exactly, the losses, and for each strategy the direction it gives.
"""

import json
import pathlib
import warnings

import numpy as np
import scipy.optimize
import torch
import torchjd.aggregation as jd
from torchjd.linalg import QuadprogProjector

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(5)


def draw(*shape):
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


three = draw(3, 7)
CASES = {
    "one task": draw(1, 5),
    "two tasks": draw(2, 6),
    "two that conflict": np.array([[1.0, 0.25, 0.0], [-0.5, 1.0, 0.5]]),
    "three tasks": three,
    "three that conflict": np.array([[1.0, 0.0, 0.5, 0.25], [-0.75, 1.0, 0.0, 0.5], [0.25, -0.5, 1.0, -0.75]]),
    "five tasks": draw(5, 20),
    "a gradient of zeros": np.vstack([three[:2], np.zeros((1, 7))]),
    # On a grid, so that the third gradient is the sum of the others to the last bit.
    "rank-deficient": (grid := np.round(three * 256) / 256)[[0, 1, 1]] + np.array([[0.0], [0.0], [1.0]]) * grid[:1],
    "exactly opposed": np.vstack([three[:1], -2 * three[:1]]),
    "scales far apart": three * np.array([[1e3], [1.0], [1e-3]]).astype(np.float32),
    "more tasks than parameters": draw(4, 2),
}
CASES = {name: matrix.astype(np.float32).astype(np.float64) for name, matrix in CASES.items()}
LOSSES = np.array([0.7, 1.9, 0.3, 2.4, 1.1])


def torchjd(aggregator):
    return lambda j, losses: aggregator()(torch.tensor(j)).numpy()


def simplex(function, gradient, n):
    """The minimum over the simplex, by sequential quadratic programming from several starts."""
    best = None
    for start in [np.ones(n) / n, *np.eye(n)]:
        found = scipy.optimize.minimize(function, start, jac=gradient, method="SLSQP", bounds=[(0, 1)] * n,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)}, options={"ftol": 1e-18, "maxiter": 2000})
        if best is None or found.fun < best.fun:
            best = found
    return best.x


def mgda(j, losses, scale=None):
    """Every face of the simplex, by the linear system of its stationary point: exact, and slow for many tasks."""
    n = len(j)
    scaled = j if scale is None else j * scale[:, None]
    best, weights = np.inf, None
    for mask in range(1, 2**n):
        face = [i for i in range(n) if mask >> i & 1]
        g = scaled[face]
        # The affine minimum-norm point, from the differences to the first corner.
        along, *_ = np.linalg.lstsq((g[1:] - g[0]).T, -g[0], rcond=1e-13) if len(face) > 1 else (np.zeros(0),)
        w = np.concatenate([[1 - along.sum()], along])
        if w.min() >= -1e-12 and (value := np.linalg.norm(w @ g)) < best * (1 - 1e-12):
            best, weights = value, np.zeros(n)
            weights[face] = w
    return weights @ j


def fair(alpha):
    def solve(j, losses):
        there = np.linalg.norm(j, axis=1) > 0
        g = j[there] @ j[there].T
        unit = np.diag(g) ** (-alpha / (1 + alpha))
        # In logarithms, so that the weights stay positive; refined from the best of the solver.
        residual = lambda x: (g @ (unit * np.exp(x))) * (unit * np.exp(x)) ** (1 / alpha) - 1
        x = scipy.optimize.least_squares(residual, np.zeros(len(g)), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=100000).x
        assert np.abs(residual(x)).max() < 1e-7, residual(x)
        w = np.zeros(len(j))
        w[there] = unit * np.exp(x)
        return w @ j

    return solve


def nash(j, losses):
    d = fair(1.0)(j, losses)
    return d / max(1.0, np.linalg.norm(d))


def pcgrad(j, losses):
    """In the one order that two tasks have, or over the mean of nothing: only for one and two tasks."""
    sum = np.zeros(j.shape[1])
    for i in range(len(j)):
        g = j[i].copy()
        for k in range(len(j)):
            if k != i and g @ j[k] < 0:
                g -= (g @ j[k]) / (j[k] @ j[k]) * j[k]
        sum += g
    return sum


def config(j, losses):
    norms = np.linalg.norm(j, axis=1, keepdims=True)
    units = np.divide(j, norms, out=np.zeros_like(j), where=norms > 0)
    best = np.linalg.pinv(units) @ np.ones(len(j))
    norm = np.linalg.norm(best)
    return (j @ (best / norm)).sum() * best / norm if norm > 0 else 0 * best


def cagrad(c):
    """By TorchJD's weights, whose solver stops at 1e-8 of the cost, and from there to the stationary point on the same face."""

    def solve(j, losses):
        n, g = len(j), j @ j.T
        mean = j.mean(0)
        reach, most = c * np.linalg.norm(mean), np.linalg.norm(j, axis=1).max()
        given = jd.CAGrad(c=c, norm_eps=1e-12).gramian_weighting(torch.tensor(g)).numpy() - 1 / n
        w = np.maximum(given / given.sum(), 0) if given.sum() > 0 else np.ones(n) / n
        face = w > 1e-5
        along = j @ mean

        def stationary(x):
            v = np.zeros(n)
            v[face] = x[:-1]
            gradient = (along + reach * (g @ v) / np.linalg.norm(v @ j)) / most**2
            return np.append(gradient[face] + x[-1], v.sum() - 1)

        start = w[face] / w[face].sum()
        value = along @ w + reach * np.linalg.norm(w @ j)
        found = scipy.optimize.root(stationary, np.append(start, -value / most**2), tol=1e-15).x
        w = np.zeros(n)
        w[face] = found[:-1]
        norm = np.linalg.norm(w @ j)
        # Where some combination of the gradients is 0 and nothing is better, there is no direction to add to the mean.
        if norm < 1e-6 * most or any(np.linalg.norm(j, axis=1) == 0):
            return mean / (1 + c * c)
        assert np.abs(stationary(found)).max() < 1e-11 and w.min() >= 0, (stationary(found), w)
        return (mean + reach * (w @ j) / norm) / (1 + c * c)

    return solve


def sdmgrad(j, losses):
    # One half and the other are the same here, so the products are those of the gradients.
    weighting = jd.SDMGradWeighting(lr=0.1, momentum=0.0, n_iter=20, lambda_=0.3)
    return weighting(torch.tensor(j @ j.T)).numpy() @ j


def db_mtl(j, losses):
    g = j / (losses[: len(j), None] + 1e-8)
    norms = np.linalg.norm(g, axis=1, keepdims=True)
    return (norms.max() * np.divide(g, norms, out=np.zeros_like(g), where=norms > 0)).sum(0)


upgrad = lambda: jd.UPGrad(projector=QuadprogProjector(norm_eps=1e-300, reg_eps=1e-4))
dualproj = lambda: jd.DualProj(projector=QuadprogProjector(norm_eps=1e-300, reg_eps=1e-4))
norm = lambda j: np.where(np.linalg.norm(j, axis=1) > 0, np.linalg.norm(j, axis=1), 1.0)
STRATEGIES = [
    ("mgda", {}, mgda),
    ("mgda", {"normalize": "l2"}, lambda j, l: mgda(j, l, 1 / norm(j))),
    ("mgda", {"normalize": "loss"}, lambda j, l: mgda(j, l, 1 / l)),
    ("mgda", {"normalize": "both"}, lambda j, l: mgda(j, l, 1 / (l * norm(j)))),
    ("pcgrad", {}, lambda j, l: pcgrad(j, l) if len(j) < 3 else None),
    ("gradvac", {}, lambda j, l: torchjd(lambda: jd.GradVac(beta=0.5, eps=1e-300))(j, l) if len(j) < 3 and np.abs(j[0] @ j[-1]) < 0.999 * norm(j)[0] * norm(j)[-1] else None),
    ("imtl_g", {}, lambda j, l: torchjd(jd.IMTLG)(j, l)),
    ("cagrad", {}, cagrad(0.4)),
    ("cagrad", {"c": 0.9}, cagrad(0.9)),
    ("nash", {}, nash),
    ("fairgrad", {}, fair(1.0)),
    ("fairgrad", {"alpha": 2.0}, fair(2.0)),
    ("fairgrad", {"alpha": 0.5}, fair(0.5)),
    ("aligned", {}, torchjd(jd.AlignedMTL)),
    ("upgrad", {}, torchjd(upgrad)),
    ("dualproj", {}, torchjd(dualproj)),
    ("config", {}, config),
    ("sdmgrad", {}, sdmgrad),
    ("db_mtl", {}, db_mtl),
]
# What has no answer, or several: gradients that cancel have no finite weight in proportional fairness, and no common direction;
# and where 0 lies between the divided gradients, it does so by several weights.
UNDEFINED = {
    "exactly opposed": {"nash", "fairgrad", "imtl_g", "config"},
    "more tasks than parameters": {"nash", "fairgrad"},
}

cases = []
for name, j in CASES.items():
    losses = LOSSES[: len(j)]
    answers = []
    for strategy, arguments, function in STRATEGIES:
        several = name == "more tasks than parameters" and "normalize" in arguments
        if several or strategy in UNDEFINED.get(name, ()):
            continue
        try:
            direction = function(j, losses)
        except Exception as error:
            print(f"{name}: {strategy} {arguments}: {type(error).__name__}: {str(error)[:100]}")
            continue
        if direction is not None and np.isfinite(direction).all():
            answers.append({"name": strategy, "arguments": arguments, "direction": [float(x) for x in direction]})
    cases.append({"name": name, "jacobian": j.tolist(), "losses": losses.tolist(), "answers": answers})
path = pathlib.Path(__file__).with_name("balancers.json")
text = json.dumps({"cases": cases}, indent=None, separators=(",", ":"))
path.write_text(text.replace('{"name"', '\n{"name"') + "\n")
print(sum(len(case["answers"]) for case in cases), "answers")
