"""The entry point `peftlab-export`. Imports no torch until its words have passed every check."""

from pathlib import Path

from peftlab.command.parser import Parser
from peftlab.export.publish import check_out
from peftlab.inputs.path import expanded
from peftlab.record.finished import finished_run

FORMATS = ("timm", "hf", "peft", "adapter")


def main(argv: list[str] | None = None) -> int:
    """Write a finished run for another program and say how far its logits are: 0, 2 for a wrong input, or 1 if the disk fails."""
    parser = Parser(
        prog="peftlab-export",
        description="A finished run as a plain timm or Hugging Face model, a Hugging Face PEFT adapter, or an adapter without gamma.",
    )
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format")
    parser.add_argument("--out", metavar="DIR", help="where to (default RUN/export_FORMAT)")
    parser.add_argument("--rank", type=int, metavar="B", help="the rank at which a DyLoRA is written")
    parser.add_argument(
        "--images",
        "--texts",
        dest="items",
        metavar="PATH",
        help="compare on these images, or on the texts of a file, not on the run's own",
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    parser.add_trust()
    words = parser.parse_args(argv)
    with parser.answers(Path(words.out or words.run)):
        folder = finished_run(words.run)
        out = folder / f"export_{words.to}" if words.out is None else expanded(words.out)
        check_out(out, force=words.force)
        from peftlab.export.export import export

        card = export(folder, words.to, out, rank=words.rank, images=words.items, trust=words.trust)
    if card["head"].get("where") == "head.safetensors":
        why = "is no linear layer" if "size" in card["input"] else "is none of transformers'"
        print(
            f"the {card['head']['kind']} head {why}: the model gives features, and head.safetensors holds the head; README.md"
            " says how they go together"
        )
    print(
        f"largest logit difference {card['largest_logit_difference']:.2g} (largest logit {card['largest_logit']:.3g})"
        f" on {card['num_images']} {'texts' if 'tokenizer' in card['input'] else 'images'} ({card['images']})"
    )
    print(f"written: {out}")
    return 0
