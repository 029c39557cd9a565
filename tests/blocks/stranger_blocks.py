"""Blocks as strangers write them, honest and otherwise."""

import torch
from torch import nn
from torch.nn import functional

from nas.arch.cost import Cost
from nas.blocks.base import Block


class Ghost(Block):
    """Half the channels by 1×1, the other half from them depthwise."""

    name = "ghost"
    choices = {"kernel": (3, 5, 7), "ratio": (2, 4)}

    def build(self, in_channels, width, stride, *, kernel, ratio):
        return GhostModule(in_channels, width, stride, kernel, ratio)

    def valid(self, in_channels, width, stride, *, kernel, ratio):
        return width % ratio == 0


class GhostModule(nn.Module):
    def __init__(self, in_channels, width, stride, kernel, ratio):
        super().__init__()
        first = width // ratio
        self.first = nn.Conv2d(in_channels, first, 1, stride, bias=False)
        self.cheap = nn.Conv2d(first, width - first, kernel, 1, kernel // 2, groups=first, bias=False)

    def forward(self, x):
        y = self.first(x)
        return torch.cat([y, self.cheap(y)], dim=1)


class Gate(nn.Module):
    """y · sigmoid(dense(mean of y)): squeeze and excitation."""

    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.dense = nn.Linear(width, width)

    def forward(self, x):
        y = self.conv(x)
        return y * torch.sigmoid(self.dense(y.mean((2, 3))))[:, :, None, None]


class Attention(nn.Module):
    """1×1, then every position looks at every other; with or without what came in."""

    def __init__(self, in_channels, width, stride, residual=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 1, stride)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.residual = residual

    def forward(self, x):
        y = self.conv(x)
        tokens = y.flatten(2).transpose(1, 2)
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        mixed = mixed.transpose(1, 2).reshape(y.shape)
        return y + mixed if self.residual else mixed


class UpAgain(nn.Module):
    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1)

    def forward(self, x):
        y = self.conv(x)
        return functional.interpolate(functional.max_pool2d(y, 2, ceil_mode=True), size=y.shape[2:])


class Channelwise(nn.Module):
    """A ConvNeXt: depthwise 7×7, then layer norm and dense layers with the channels last."""

    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.down = nn.Conv2d(in_channels, width, 1, stride)
        self.depthwise = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x):
        y = self.down(x)
        z = self.norm(self.depthwise(y).permute(0, 2, 3, 1))
        z = self.scale * self.narrow(functional.gelu(self.wide(z)))
        return y + z.permute(0, 3, 1, 2)


class Recurrent(nn.Module):
    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.lstm = nn.LSTM(in_channels, width)

    def forward(self, x):
        return self.lstm(x.flatten(2).permute(2, 0, 1))[0].permute(1, 2, 0).view(1, -1, *x.shape[2:])


class Fourier(nn.Conv2d):
    def forward(self, x):
        return torch.fft.irfft2(torch.fft.rfft2(super().forward(x)), s=x.shape[2:])


class Standardised(nn.Conv2d):
    """Its kernel is computed from its weight at every call."""

    def forward(self, x):
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


def made(build, *, name="stranger", cost=None):
    """A block type whose `build` is the given function of (in_channels, width, stride), its class for instance."""
    members = {"name": name, "build": lambda self, in_channels, width, stride: build(in_channels, width, stride)}
    if cost is not None:
        members["cost"] = lambda self, shape, width, stride: cost
    return type("Made", (Block,), members)


def plain(in_channels, width, stride):
    return nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)


Liar = made(plain, name="liar", cost=Cost(1, 1, 1, 1, 3))
Shrinking = made(lambda in_channels, width, stride: nn.Conv2d(in_channels, width, 3, stride), name="shrinking")
