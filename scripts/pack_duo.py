"""The file of backbone=duo out of a run of experiment=align_towers: its map (fp16) and its scale.

python scripts/pack_duo.py outputs/RUN duo.safetensors
"""

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save

from peftlab.errors import UserError
from peftlab.model.load import load
from peftlab.record.whole_file import whole_file

KEYS = {"weight": "image_proj_weight", "bias": "image_proj_bias"}


def pack(folder: Path, out: Path) -> str:
    """Writes `out`; its sha256.

    Raises:
        UserError: for a folder of another run.
    """
    model = load(folder)
    trained = dict(model.cell.selected.named_parameters())
    if trained.keys() != set(KEYS.values()):
        raise UserError(
            f"{folder} trained {', '.join(sorted(trained)[:3]) or 'nothing of the backbone'}; legal: a run of experiment=align_towers"
        )
    scale = getattr(model.head, "log_scale", None)
    if scale is None:
        raise UserError(f"{folder} has a scale that is not trained; legal: head.learn_scale=true")
    tensors = {key: trained[name].detach().half().contiguous() for key, name in KEYS.items()}
    data = save({**tensors, "scale": scale.detach().exp().float().reshape(())})
    with whole_file(out) as part:
        part.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="folder of a finished run of experiment=align_towers")
    parser.add_argument("out", type=Path, help="the file that is written")
    given = parser.parse_args()
    try:
        with torch.no_grad():
            print(pack(given.run, given.out))
    except UserError as error:
        print(f"pack_duo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
