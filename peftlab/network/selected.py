"""Weights of the backbone that are trained in place: whole, the slice that belongs to a site, or single entries."""

import torch
from torch import Tensor, nn

from peftlab.backbone.plain import plain
from peftlab.errors import UserError
from peftlab.peft.weights import Chosen, Weight

Slice = tuple[int, int]


class Selected(nn.Module):
    """Trainable copies of selected weights; `weights()` gives what takes their place in a forward.

    Only what is selected is a parameter: of a mask, its entries as one vector. The backbone's own tensors stay
    untouched, so an unselected weight is bit-identical after training whatever the optimizer does (weight decay
    included), and so is the backbone itself.
    """

    def __init__(self, model: nn.Module, chosen: Chosen) -> None:
        super().__init__()
        self._frozen = dict(model.named_parameters())
        self._tables = {
            f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)
        }
        self._slices: dict[str, dict[Slice, str]] = {}
        for weight, mask in chosen:
            key = weight_key(weight)
            if weight.slice in self._slices.get(weight.name, {}):
                raise UserError(
                    f"peft: two parts of the method train {key}, which has one value; legal: places of their own for each"
                )
            piece = weight.of(plain(self._frozen[weight.name])).detach()
            if mask is None:
                piece = piece.clone()
            else:
                index = mask.flatten().nonzero().squeeze(-1)
                self.register_buffer(f"{key}_index", index)
                piece = piece.flatten()[index]
            self.register_parameter(key, nn.Parameter(piece))
            self._slices.setdefault(weight.name, {})[weight.slice] = key

    def weights(self) -> dict[str, Tensor]:
        """Name of the backbone's parameter -> the tensor to use instead; {} if nothing is selected."""
        return {name: self._assemble(name, slices) for name, slices in self._slices.items()}

    def of_tables(self) -> set[str]:
        """Keys of what is selected of tables, as of tokens: no entry of a row that a batch does not look up has a gradient."""
        return {
            key for name, slices in self._slices.items() if name in self._tables for key in slices.values()
        }

    def indices(self) -> dict[str, Tensor]:
        """Key of a masked weight -> the positions of its entries in the flattened part."""
        return {name.removesuffix("_index"): value for name, value in self.named_buffers()}

    def _assemble(self, name: str, slices: dict[Slice, str]) -> Tensor:
        count = next(iter(slices))[1]
        pieces = list(plain(self._frozen[name]).chunk(count))
        for (index, _), key in slices.items():
            pieces[index] = self._piece(key, pieces[index])
        return pieces[0] if count == 1 else torch.cat(pieces)

    def _piece(self, key: str, frozen: Tensor) -> Tensor:
        value: Tensor = getattr(
            self, key
        )  # under functional_call no nn.Parameter, so get_parameter would refuse it
        index: Tensor | None = getattr(self, f"{key}_index", None)
        if index is None:
            return value
        return frozen.detach().flatten().index_copy(0, index, value).view_as(frozen)


def weight_key(weight: Weight) -> str:
    """The name of a selected weight in state dicts, where a dot would separate modules."""
    index, count = weight.slice
    return weight.name.replace(".", "_") + ("" if count == 1 else f"_part{index}")
