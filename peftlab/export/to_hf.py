"""--to hf: a folder in the layout of the model's own library, with every delta folded in."""

from pathlib import Path
from typing import Any

from peftlab.backbone.hf.exported import source_folder, write_hf
from peftlab.dataset.text.dataset import used_length
from peftlab.export.head import save_head
from peftlab.export.merge import merge, merged_sites
from peftlab.model.load import Trained


def to_hf(trained: Trained, folder: Path) -> dict[str, Any]:
    """config.json, model.safetensors and tokenizer.json for transformers, the pooling for sentence-transformers; head.safetensors.

    Raises:
        UserError: if a site cannot be folded into a weight.
    """
    source_folder(trained.backbone, "--to hf")
    spec, data = trained.backbone.text_spec("--to hf"), trained.resolved.dataset
    write_hf(trained.backbone, merge(trained, "hf"), used_length(spec, data.options["max_length"]), folder)
    save_head(trained, folder)
    return merged_sites(trained)
