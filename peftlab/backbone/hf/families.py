"""Every family that has a table, by the `model_type` of its config.json."""

from peftlab.backbone.hf.bart import BART
from peftlab.backbone.hf.bert import ENCODERS
from peftlab.backbone.hf.decoder import DECODERS
from peftlab.backbone.hf.mamba import MAMBA

FAMILIES = {**ENCODERS, **DECODERS, "mamba": MAMBA, "bart": BART}
