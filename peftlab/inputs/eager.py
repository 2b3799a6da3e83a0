"""torch's optimizers without the wrappers that import torch's compiler at the first step, which takes 1.7 s."""

from inspect import unwrap
from typing import Any

import torch
from torch.optim import Optimizer


class _Eager(Optimizer):
    """The same methods, never compiled."""

    add_param_group: Any = unwrap(Optimizer.add_param_group)
    zero_grad: Any = unwrap(Optimizer.zero_grad)
    state_dict: Any = unwrap(Optimizer.state_dict)
    load_state_dict: Any = unwrap(Optimizer.load_state_dict)


class AdamW(_Eager, torch.optim.AdamW):
    """torch's AdamW."""

    step: Any = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Adam(_Eager, torch.optim.Adam):
    """torch's Adam."""

    step: Any = torch.no_grad()(unwrap(torch.optim.Adam.step))


class SGD(_Eager, torch.optim.SGD):
    """torch's SGD."""

    step: Any = torch.no_grad()(unwrap(torch.optim.SGD.step))
