"""PyTorch models that compute the same as the specs beside: the same layers, under the same names.

Because the names agree, the weights that `mtlc bench --dump` writes load strictly, so a twin cannot have another number of
parameters than its spec.
"""

import torch
import torch.nn.functional as F
from torch import nn


def named(**modules):
    """Modules behind each other, under these names."""
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain


class Indexed(nn.Sequential):
    """Modules behind each other, under their positions; those without parameters may be functions."""

    def __init__(self, *layers):
        super().__init__(*(layer if isinstance(layer, nn.Module) else Function(layer) for layer in layers))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def conv(inner, outer, kernel, stride=1):
    return nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False)


def global_pool(x):
    return x.mean((2, 3))


def mlp():
    return named(label=Indexed(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)))


def cnn():
    def stage(inner, outer, last):
        return Indexed(conv(inner, outer, 3), nn.BatchNorm2d(outer), nn.ReLU(), last)

    trunk = named(
        edges=stage(1, 32, nn.MaxPool2d(2)),
        parts=stage(32, 64, nn.MaxPool2d(2)),
        whole=stage(64, 128, global_pool),
    )
    return named(trunk=trunk, label=nn.Linear(128, 10))


class Residual(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = conv(inner, outer, 3, stride)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = conv(outer, outer, 3)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = None
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return y + (x if self.shortcut is None else self.shortcut(x))


def resnet18_trunk():
    def layer(inner, outer, stride):
        basic = lambda a, s: named(add=Residual(a, outer, s), relu=nn.ReLU(inplace=True))
        return nn.Sequential(basic(inner, stride), basic(outer, 1))

    return named(
        stem=nn.Sequential(conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)),
        layer1=layer(64, 64, 1),
        layer2=layer(64, 128, 2),
        layer3=layer(128, 256, 2),
        layer4=layer(256, 512, 2),
        pool=Function(global_pool),
    )


def resnet18():
    return named(trunk=resnet18_trunk(), label=nn.Linear(512, 1000))


class ThreeHeads(nn.Module):
    """Three answers from one trunk; `alone` gives a model with one of them, which shares no computation."""

    def __init__(self):
        super().__init__()
        self.trunk = resnet18_trunk()
        self.kinds, self.breeds, self.places = nn.Linear(512, 1000), nn.Linear(512, 120), nn.Linear(512, 4)

    def forward(self, x):
        features = self.trunk(x)
        return torch.cat([self.kinds(features), self.breeds(features), self.places(features)], 1)

    def alone(self):
        return [named(trunk=self.trunk, head=head) for head in (self.kinds, self.breeds, self.places)]


def three_heads():
    return ThreeHeads()


class Inverted(nn.Sequential):
    """Widen, look around channel by channel, narrow; the input is added where the shape stays."""

    def __init__(self, inner, outer, kernel=3, stride=1):
        wide = 6 * inner
        super().__init__(act(inner, wide), look(wide, kernel, stride), conv(wide, outer, 1), nn.BatchNorm2d(outer))
        self.adds = stride == 1 and inner == outer

    def forward(self, x):
        y = super().forward(x)
        return x + y if self.adds else y


def act(inner, outer, kernel=1, stride=1):
    return nn.Sequential(conv(inner, outer, kernel, stride), nn.BatchNorm2d(outer), nn.ReLU6(inplace=True))


def look(width, kernel, stride):
    depthwise = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(width), nn.ReLU6(inplace=True))


def efficientnet_lite0():
    def stage(inner, outer, more, kernel=3, stride=1):
        rest = [Inverted(outer, outer, kernel) for _ in range(more)]
        # A stage that repeats its block counts the repetitions by themselves.
        rest = rest if more == 1 else [nn.Sequential(*rest)]
        return nn.Sequential(Inverted(inner, outer, kernel, stride), *rest)

    trunk = named(
        stem=act(3, 32, 3, 2),
        first=nn.Sequential(look(32, 3, 1), conv(32, 16, 1), nn.BatchNorm2d(16)),
        b24=stage(16, 24, 1, stride=2),
        b40=stage(24, 40, 1, kernel=5, stride=2),
        b80=stage(40, 80, 2, stride=2),
        b112=stage(80, 112, 2, kernel=5),
        b192=stage(112, 192, 3, kernel=5, stride=2),
        b320=Inverted(192, 320),
        top=nn.Sequential(act(320, 1280), Function(global_pool)),
    )
    return named(trunk=trunk, label=nn.Linear(1280, 1000))


class Attention(nn.Module):
    """Query, key and value in one product, which PyTorch does faster than three; the weights load from the three."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.all = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def _load_from_state_dict(self, state, prefix, *rest):
        for kind in ("weight", "bias"):
            parts = [state.pop(f"{prefix}{name}.{kind}") for name in ("query", "key", "value")]
            state[f"{prefix}all.{kind}"] = torch.cat(parts)
        super()._load_from_state_dict(state, prefix, *rest)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.all(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.output(mixed.transpose(1, 2).reshape(n, tokens, width))


class Encoder(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed = named(inner=nn.Linear(width, hidden), gelu=nn.GELU(), outer=nn.Linear(hidden, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.feed(self.norm2(x))


def encoder():
    trunk = named(
        layers=nn.Sequential(*(Encoder(384, 12, 1536) for _ in range(6))),
        pool=Indexed(nn.LayerNorm(384), lambda x: x.mean(1)),
    )
    return named(trunk=trunk, label=nn.Linear(384, 10))


def loaded(name, weights):
    """The twin of a spec with these weights: every tensor must be there in its shape, and no other."""
    model = globals()[name]()
    model.load_state_dict({path: torch.from_numpy(array.copy()) for path, array in weights.items()})
    # PyTorch counts batches besides, which no spec does.
    held = sum(p.numel() for path, p in model.state_dict().items() if not path.endswith("num_batches_tracked"))
    assert held == sum(array.size for array in weights.values()), f"{name}: another number of parameters"
    return model


def optimizer(name, model):
    """The optimizer of the spec."""
    if name in ("resnet18", "efficientnet_lite0", "three_heads"):
        return torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=True)
    return torch.optim.Adam(model.parameters(), lr=1e-5, fused=True)
