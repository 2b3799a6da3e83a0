"""The table of places of a Hugging Face model, out of what is known of its family."""

from torch import nn

from peftlab.backbone.backbone import Place, Port
from peftlab.backbone.hf.family import Family
from peftlab.backbone.table import Table
from peftlab.site import Site

WHOLE = (0, 1)
NUM_PREFIX_TOKENS = 1  # CLS or <s>, which is first in every text


def hf_table(model: nn.Module, family: Family) -> Table:
    """The places of all blocks. What stands outside the blocks is in `outside`: the embeddings and their norm."""
    blocks = model.get_submodule(family.blocks)
    assert isinstance(blocks, nn.ModuleList)
    roots = tuple(f"{family.blocks}.{index}" for index in range(len(blocks)))
    places: dict[Site, Place] = {}
    for index, (root, block) in enumerate(zip(roots, blocks, strict=True)):
        places |= _block(index, root, block, family)
    inside = tuple(f"{root}." for root in roots)
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith(inside))
    labels = tuple(str(index) for index in range(len(blocks)))
    return Table(roots, labels, NUM_PREFIX_TOKENS, places, outside, {})


def _block(index: int, root: str, block: nn.Module, family: Family) -> dict[Site, Place]:
    def port(path: str, side: str) -> Port:
        return Port(f"{root}.{path}", "in" if side == "in" else "out")

    found: dict[Site, Place] = {}
    for position, path in family.linear.items():
        layer = block.get_submodule(path)
        assert isinstance(layer, nn.Linear)
        source = f"{root}.{family.act}" if position == "mlp2" else None
        reads = Port(f"{root}.{path}", "in", source=source)
        sizes = layer.in_features, layer.out_features
        found[Site(index, position)] = Place(
            reads, port(path, "out"), None, *sizes, _owned(root, path, layer)
        )
    width, heads = found[Site(index, "q")].num_in, found[Site(index, "out")].num_in
    for position, (reads_at, writes_at) in (("attn", family.attn), ("ffn", family.ffn)):
        reads = port(reads_at, "in")  # with the norm behind, a sub-layer reads the stream itself
        found[Site(index, position)] = Place(reads, port(writes_at, "out"), reads, width, width, ())
    for position, path in (("norm1", family.norm1), ("norm2", family.norm2)):
        own = _owned(root, path, block.get_submodule(path))
        found[Site(index, position)] = Place(port(path, "in"), port(path, "out"), None, width, width, own)
    product = f"{root}.{family.product}"
    found[Site(index, "kv")] = Place(Port(product, "in"), Port(product, "heads"), None, width, heads, ())
    found[Site(index, "tokens")] = Place(Port(root, "in"), Port(root, "tokens"), None, width, width, ())
    return found


def _owned(root: str, path: str, layer: nn.Module) -> tuple[tuple[str, tuple[int, int]], ...]:
    return tuple((f"{root}.{path}.{key}", WHOLE) for key, _ in layer.named_parameters())
