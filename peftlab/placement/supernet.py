"""placement=supernet: every site that the method can take, as wide as it can be; each training step works on a part of them."""

from collections.abc import Sequence

from peftlab.errors import UserError
from peftlab.option import Fraction, Width
from peftlab.placement.ground import Ground, Placement


def supernet(ground: Ground, *, widths: list[Width], depths: list[Fraction]) -> Placement:
    """All candidates. The sub-networks: for each part of the method a depth of `depths`, in each of its blocks one of `widths`.

    Raises:
        UserError: for no choice, a repeated one, or a depth of 0.
    """
    check_choices(widths, depths)
    return Placement({site: {} for site in ground.candidates})


def check_choices(widths: Sequence[int], depths: Sequence[float]) -> None:
    """Both ascend and start above 0.

    Raises:
        UserError: if not.
    """
    for key, values in (("widths", list(widths)), ("depths", list(depths))):
        if not values or sorted(set(values)) != values or values[0] == 0:
            raise UserError(
                f"placement.{key}={values} is not legal; legal: at least one number, ascending, above 0"
            )
