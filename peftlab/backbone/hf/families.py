"""Every family that has a table, by the `model_type` of its config.json."""

from peftlab.backbone.hf.bart import BART
from peftlab.backbone.hf.bert import ENCODERS
from peftlab.backbone.hf.decoder import DECODERS
from peftlab.backbone.hf.mamba import MAMBA
from peftlab.backbone.hf.t5 import MT5, T5

FAMILIES = {**ENCODERS, **DECODERS, "mamba": MAMBA, "bart": BART, "t5": T5, "mt5": MT5}
