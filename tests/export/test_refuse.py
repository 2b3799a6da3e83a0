"""One sentence names every site, its method and the reason."""

import pytest

from peftlab.errors import UserError
from peftlab.export.refuse import Reason, refuse
from peftlab.site import Site


def test_nothing_to_refuse():
    refuse("timm", [], "anything")


def test_sites_with_one_reason_stand_together_and_long_lists_are_cut():
    reasons = [Reason("Adapter", Site(block, "ffn"), "it bends") for block in range(6)]
    reasons.insert(1, Reason("Adapter", Site(0, "attn"), "it twists"))
    reasons.append(Reason("selected weights", None, "they are whole"))
    with pytest.raises(UserError) as caught:
        refuse("peft", reasons, "LoRA")
    assert str(caught.value) == (
        "--to peft has no place for Adapter at 0.ffn, 1.ffn, 2.ffn, 3.ffn and 2 more sites (it bends), Adapter at 0.attn"
        " (it twists), selected weights (they are whole); legal: LoRA"
    )
