"""Weights of the backbone that are trained in place, whole or by the third of a fused qkv that is selected."""

import torch
from torch import Tensor, nn

Part = tuple[int, int]


class Selection(nn.Module):
    """Trainable copies of selected weights; `weights()` gives what takes their place in a forward.

    The backbone's own tensors stay untouched, so an unselected weight is bit-identical after training whatever the
    optimizer does (weight decay included), and so is the backbone itself.
    """

    def __init__(self, model: nn.Module, selected: list[tuple[str, Part]]) -> None:
        super().__init__()
        self._frozen = dict(model.named_parameters())
        self._parts: dict[str, dict[Part, str]] = {}
        for name, part in selected:
            key = name.replace(".", "_") + ("" if part[1] == 1 else f"_part{part[0]}")
            piece = self._frozen[name].chunk(part[1])[part[0]].detach().clone()
            self.register_parameter(key, nn.Parameter(piece))
            self._parts.setdefault(name, {})[part] = key

    def weights(self) -> dict[str, Tensor]:
        """Name of the backbone's parameter -> the tensor to use instead."""
        return {name: self._assemble(name, parts) for name, parts in self._parts.items()}

    def _assemble(self, name: str, parts: dict[Part, str]) -> Tensor:
        count = next(iter(parts))[1]
        if count == 1:
            return self._piece(parts[0, 1])
        pieces = list(self._frozen[name].chunk(count))
        for (index, _), key in parts.items():
            pieces[index] = self._piece(key)
        return torch.cat(pieces)

    def _piece(self, key: str) -> Tensor:
        piece: Tensor = getattr(
            self, key
        )  # under functional_call no nn.Parameter, so get_parameter would refuse it
        return piece
