"""In which precision a forward multiplies."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from peftlab.fit.plan import Plan

Context = Callable[[], AbstractContextManager[None]]


def autocast(plan: Plan, device: torch.device) -> Context:
    """bf16 for the products of the forward pass, or nothing; weights, deltas, gamma and head stay fp32."""
    if plan.precision == "fp32":
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)
