"""What a run does at its test alone. Without torch."""

from peftlab.config.resolved import Resolved
from peftlab.errors import UserError


def check_tested(resolved: Resolved) -> None:
    """What moves for a test image are texts that all views of it share.

    Raises:
        UserError: if there are none.
    """
    views = resolved.task.options.get("tpt_views")
    if views is None:
        return
    said = f"task.tpt_views={views}"
    part = next((part for part in resolved.parts if "context" in part.positions), None)
    if part is None:
        raise UserError(
            f"{said} moves the tokens around the names of classes, and peft={resolved.parts[0].form.word} has none; legal: peft=coop or"
            " maple (untrained with fit.epochs=0), or null"
        )
    if part.insertion == "conditional":
        raise UserError(
            f"{said}: with {part.form.word} each view has texts of its own; legal: peft=coop or maple, or null"
        )
    if resolved.dataset.options.get("views") is not None:
        raise UserError(
            f"{said} with dataset.views={resolved.dataset.options['views']}: both make views; legal: one of them"
        )
