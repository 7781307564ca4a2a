"""What the manual converter is held to, operator by operator: functions of one tensor, (4, 5, 6) or images."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from mlir_datagen.networks.converted import result_types
from mlir_datagen.networks.network_program import NetworkProgram


def answers_of(converted, calls):
    """Return the results of a converted network for the arguments of each call."""
    program = NetworkProgram()
    program.verify(converted.text)
    program.lower()
    return [program.run(arguments, result_types(converted)) for arguments in calls]


class Calls(nn.Module):
    """Returns what each of some functions gives for the same inputs."""

    def __init__(self, *functions):
        super().__init__()
        self.functions = functions

    def forward(self, *inputs):
        return tuple(function(*inputs) for function in self.functions)


def in_place(x):
    y = x.clone()
    y[:, 1] = 2.0
    y[0].mul_(3)
    y.view(-1).add_(1)
    return y


GROUPS = {
    "activations": [
        torch.relu,
        torch.sigmoid,
        torch.tanh,
        functional.silu,
        functional.hardswish,
        functional.hardsigmoid,
        functional.elu,
        functional.softplus,
        lambda x: functional.softplus(x * 3, beta=2, threshold=1),
        lambda x: functional.softplus(x * 9, beta=-1, threshold=-4),
        functional.gelu,
        lambda x: functional.gelu(x, approximate="tanh"),
        functional.relu6,
        lambda x: functional.leaky_relu(x, 0.2),
        lambda x: functional.softmax(x, 1),
        lambda x: functional.log_softmax(x, -1),
        lambda x: functional.hardtanh(x, -0.5, 0.25),
        functional.selu,
        functional.mish,
    ],
    "arithmetic": [
        lambda x: x.abs().sqrt(),
        lambda x: torch.exp(-x),
        lambda x: torch.log(x.abs() + 1),
        torch.sin,
        torch.cos,
        torch.erf,
        torch.floor,
        torch.ceil,
        torch.round,
        lambda x: x**2,
        lambda x: x**3,
        lambda x: x.abs() ** 1.5,
        lambda x: 2.0**x,
        lambda x: 1 / (x + 9),
        lambda x: torch.add(x, x[0], alpha=3),
        lambda x: 2 - x,
        lambda x: x / 3,
        lambda x: x.clamp(min=-0.5),
        lambda x: x.clamp(-0.5, 0.5),
        lambda x: torch.maximum(x, -x),
        lambda x: x - x[:, :1],
        lambda x: torch.rsqrt(x.abs() + 1),
        lambda x: torch.where(x > 0, x, -2.0),
        lambda x: x.masked_fill(x < 0, 7.0),
    ],
    "comparisons": [
        lambda x: x > 0,
        lambda x: x <= x[0],
        lambda x: x.round() == 0,
        lambda x: x.round() != 0,
        lambda x: (x > 0) & (x < 1),
        lambda x: ~(x > 0),
        lambda x: (x > 0).to(torch.float32) * 2,
        lambda x: x.to(torch.int64) + 1,
        lambda x: (x > 0).to(torch.int64).sum(-1),
        lambda x: x.to(torch.float64) * 0.1,
        lambda x: (x * 3).to(torch.int32),
        lambda x: (x > 0).any(-1),
        lambda x: (x > -1).all(),
        lambda x: x.to(torch.int64) / 2,
        lambda x: torch.isnan(x),
    ],
    "truth_values": [
        lambda x: (x > 0).amax(1),
        lambda x: (x > 0).amin((0, 2)),
        lambda x: (x > -9).amin(1),
        lambda x: (x > 9).amax(1),
        lambda x: (x > 0).max(),
        lambda x: (x > 0).min(),
        lambda x: torch.maximum(x > 0, x[0] > 0),
        lambda x: torch.minimum(x > 0, x[0] > 0),
        lambda x: (x > 0) < (x[0] > 0),
        lambda x: (x > 0) > (x[0] > 0),
        lambda x: (x > 0) <= (x[0] > 0),
        lambda x: (x > 0) >= (x[0] > 0),
        lambda x: (x > 0) + (x[0] > 0),
        lambda x: (x > 0) * (x[0] > 0),
        lambda x: (x > 0).sum(1, dtype=torch.bool),
        lambda x: (x > -1).prod(1, dtype=torch.bool),
        lambda x: (x > 0) == (x[0] > 0),
    ],
    "integers": [
        lambda x: x.to(torch.int64) @ x.to(torch.int64).transpose(1, 2),
        lambda x: x[0].to(torch.int64) @ (x[1] * 4).to(torch.int64).T,
        lambda x: x[0].to(torch.int32) @ (x[1, 0] * 4).to(torch.int32),
        lambda x: (x * 4).to(torch.int64) ** 2,
        lambda x: (x * 4).to(torch.int64) ** 5,
        lambda x: (x * 4).to(torch.int32) ** 7,
        lambda x: x.to(torch.int64) ** 0,
        lambda x: x.to(torch.int64) ** 1,
    ],
    "reductions": [
        torch.sum,
        torch.mean,
        lambda x: x.sum(1),
        lambda x: x.mean((0, 2), keepdim=True),
        lambda x: x.amax(-1),
        lambda x: x.amin((1, 2)),
        lambda x: x.var(1),
        lambda x: x.std(dim=(1, 2)),
        torch.max,
        lambda x: functional.layer_norm(x, (5, 6)),
        lambda x: functional.group_norm(x, 5),
        lambda x: torch.linalg.norm(x, dim=1),
        lambda x: functional.normalize(x, dim=-1),
        lambda x: functional.rms_norm(x, (6,)),
        lambda x: x.prod(0),
        lambda x: x.argmax(1),
        lambda x: x.round().argmax(),
        lambda x: x.round().argmin(-1, keepdim=True),
        lambda x: x.log().argmax(2),
        lambda x: (-x.abs() / 0).argmax(2),
        lambda x: x.to(torch.int32).argmax(0),
        lambda x: x.max(1)[0],
        lambda x: x.round().min(-1, keepdim=True)[1],
        lambda x: x.cumsum(1),
        lambda x: x[:, :, :1].cumsum(-1),
        lambda x: (x > 0).cumsum(-1),
        lambda x: x.flatten().cumsum(0, dtype=torch.float64),
        lambda x: functional.batch_norm(x, None, None, x[0, 0, :5], x[1, 0, :5], training=True),
        lambda x: functional.instance_norm(x),
    ],
    "shapes": [
        lambda x: x.reshape(3, 40),
        lambda x: x.reshape(2, 2, 1, 5, 3, 2),
        lambda x: x.permute(2, 0, 1),
        lambda x: x.transpose(-1, 0),
        lambda x: x[1],
        lambda x: x[:, 1:3, ::2],
        lambda x: x[..., -1],
        lambda x: x[:, None, 2:],
        lambda x: x.flatten(1),
        lambda x: torch.cat([x, x[:, :2], x], 1),
        lambda x: torch.stack([x, x], -1),
        lambda x: x.chunk(3, -1)[1],
        lambda x: x.unbind(1)[2],
        lambda x: x.split([1, 4], 1)[1],
        lambda x: x[:, :1].expand(4, 5, 6),
        lambda x: x.roll(2, 1),
        lambda x: x.roll(-7),
        lambda x: functional.pad(x, (1, 2, 0, 3), value=-4.0),
        lambda x: functional.pad(x, (-1, 2)),
        lambda x: functional.pad(x, (-6, 0)),
        lambda x: functional.pad(x, (-6, 2)),
        lambda x: torch.cat([x, x[:, 5:], x[:, 2:2]], 1),
        lambda x: x.unsqueeze(0).squeeze(),
        lambda x: x.sum().reshape(1, 1),
        lambda x: x[:1].repeat(2, 1, 3),
        in_place,
        lambda x: x,
        lambda x: x.mean().expand(3, 2),
        lambda x: x[:, :, :1].squeeze(-1),
    ],
    "indexing": [
        lambda x: x[torch.tensor([2, 0, 2])],
        lambda x: x[:, [1, -1]],
        lambda x: x[torch.tensor([[1], [-3]]), :, torch.tensor([0, 5, 1])],
        lambda x: x[:, torch.tensor([[1], [2]]), torch.tensor([0, 5, 1])],
        lambda x: x.index_select(1, torch.tensor([3, 3, 0])),
        lambda x: x.gather(2, x.abs().to(torch.int64)),
        lambda x: functional.embedding(x[:, 0].abs().to(torch.int64), x[0]),
        lambda x: torch.arange(5)[:, None] + x,
        lambda x: torch.arange(300) * 2,
        lambda x: x.flip(0, 2),
        lambda x: x + torch.full((6,), 0.5),
    ],
    "products": [
        lambda x: x @ x.transpose(1, 2),
        lambda x: x[0] @ x[1].T,
        lambda x: x @ x[0, 0],
        lambda x: x[0, 0] @ x[1].T,
        lambda x: x[0, 0] @ x[1, 0],
        lambda x: x[:1] @ x.transpose(1, 2),
        lambda x: torch.bmm(x, x.transpose(1, 2)),
        lambda x: functional.linear(x, x[0], x[1, :, 0]),
        lambda x: torch.addmm(x[0, :, :5], x[1], x[2].T, beta=0.5, alpha=2),
        lambda x: torch.einsum("abc,dbc->ad", x, x),
        lambda x: functional.linear(x[0, 0], x[0]),
        lambda x: functional.scaled_dot_product_attention(x[None], x[None, :, :3], x[None, :, 1:4]),
        lambda x: functional.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True),
        lambda x: functional.scaled_dot_product_attention(x[None], x[None], x[None], x[:, :, :5].abs(), scale=0.3),
        lambda x: functional.scaled_dot_product_attention(x, x, x, torch.arange(5)[:, None] > torch.arange(5)),
        lambda x: functional.scaled_dot_product_attention(x, x, x, (x[:, :, :1] > 0.5).expand(4, 5, 5)),
        lambda x: functional.scaled_dot_product_attention(x, x, x, torch.where(x[:, :, :1] > 0.5, 0, -math.inf)),
        lambda x: functional.scaled_dot_product_attention(x[None], x[None, :2], x[None, :2], enable_gqa=True),
    ],
}


def filters(*shape):
    return torch.linspace(-1, 1, math.prod(shape)).sin().reshape(shape)


CONVOLUTIONS = [
    lambda x: functional.conv2d(x, filters(6, 4, 3, 2), padding=(2, 1), stride=(2, 1)),
    lambda x: functional.conv2d(x, filters(6, 4, 3, 3), filters(6), padding="same", dilation=2),
    lambda x: functional.conv2d(x, filters(8, 2, 3, 3), groups=2),
    lambda x: functional.conv2d(x, filters(4, 1, 3, 3), groups=4, padding=1),
    lambda x: functional.conv2d(x, filters(8, 1, 3, 3), groups=4),
    lambda x: functional.conv2d(x[0], filters(8, 4, 1, 1), filters(8)),
    lambda x: functional.conv1d(x[:, :, 0], filters(6, 4, 3), filters(6), padding=1, stride=2),
    lambda x: functional.max_pool2d(x, 3, 2, padding=1),
    lambda x: functional.max_pool2d(x - 5, 2, ceil_mode=True),
    lambda x: functional.max_pool2d(x, 3, 1, dilation=2),
    lambda x: functional.avg_pool2d(x, 3, 1, padding=1),
    lambda x: functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
    lambda x: functional.avg_pool2d(x, 2, 2, ceil_mode=True),
    lambda x: functional.avg_pool2d(x, 3, 2, padding=1, ceil_mode=True),
    lambda x: functional.avg_pool2d(x, 2, divisor_override=3),
    lambda x: functional.adaptive_avg_pool2d(x, 1),
    lambda x: functional.adaptive_avg_pool2d(x, (3, 7)),
    lambda x: functional.adaptive_avg_pool2d(x[:, :, :8, :9], (4, 3)),
    lambda x: functional.batch_norm(x, None, None, filters(4), filters(4) + 1, training=True),
    lambda x: functional.instance_norm(x, weight=filters(4), bias=filters(4) + 1),
    lambda x: functional.interpolate(x, scale_factor=2),
    lambda x: functional.interpolate(x, size=(27, 44)),
    lambda x: functional.batch_norm(x, filters(4), filters(4) ** 2),
    lambda x: functional.batch_norm(x, filters(4), filters(4) ** 2, filters(4) + 2, filters(4)),
]
