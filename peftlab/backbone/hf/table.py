"""The table of places of a Hugging Face model, out of what is known of its family."""

from torch import nn

from peftlab.backbone.backbone import Place, Port
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.layout import TimeStep
from peftlab.backbone.table import Table
from peftlab.site import Site

Part = tuple[int, int]
WHOLE: Part = (0, 1)


def hf_table(model: nn.Module, family: Family) -> Table:
    """The places of all blocks. What stands outside the blocks is in `outside`: embeddings, and norms around the blocks."""
    blocks = model.get_submodule(family.blocks)
    assert isinstance(blocks, nn.ModuleList)
    roots = tuple(f"{family.blocks}.{index}" for index in range(len(blocks)))
    places: dict[Site, Place] = {}
    for index, (root, block) in enumerate(zip(roots, blocks, strict=True)):
        places |= _linear(index, root, block, family)
        places |= _around(index, root, block, family, places)
    inside = tuple(f"{root}." for root in roots)
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith(inside))
    labels = tuple(str(index) for index in range(len(blocks)))
    num_prefix_tokens = 0 if family.is_causal else 1  # CLS or <s>, which is first in every text
    return Table(roots, labels, num_prefix_tokens, places, outside, dict(family.refused))


def _linear(index: int, root: str, block: nn.Module, family: Family) -> dict[Site, Place]:
    """Every linear layer, and every third of one that q, k and v share."""
    parts: dict[str, tuple[str, Part]] = {key: (path, WHOLE) for key, path in family.linear.items()}
    if family.fused is not None:
        parts |= {key: (family.fused, (third, 3)) for third, key in enumerate("qkv")}
    found: dict[Site, Place] = {}
    for position, (path, part) in parts.items():
        layer = block.get_submodule(path)
        assert isinstance(layer, nn.Linear)
        source = f"{root}.{family.act}" if position == "mlp2" and family.act is not None else None
        reads = Port(f"{root}.{path}", "in", source=source)
        bias = _bias_behind(block, root, path)
        writes = Port(f"{root}.{path}", "out", part, bias=bias)
        own = tuple((f"{root}.{path}.{key}", part) for key, _ in layer.named_parameters())
        own += () if bias is None else ((bias, part),)
        sizes = layer.in_features, layer.out_features // part[1]
        found[Site(index, position)] = Place(reads, writes, None, *sizes, own)
    return found


def _bias_behind(block: nn.Module, root: str, path: str) -> str | None:
    """The bias that is added behind a layer, if its weight is another module's (Mamba's dt)."""
    parent = path.rpartition(".")[0]
    return f"{root}.{parent}.bias" if isinstance(block.get_submodule(parent), TimeStep) else None


def _around(
    index: int, root: str, block: nn.Module, family: Family, linear: dict[Site, Place]
) -> dict[Site, Place]:
    """Sub-layers, norms, the attention product and the tokens of a block."""

    def port(path: str, side: str) -> Port:
        return Port(f"{root}.{path}", "in" if side == "in" else "out")

    found: dict[Site, Place] = {}
    width = next(iter(linear.values())).num_in
    for position, ends, norm in (
        ("attn", family.attn, family.norm1),
        ("ffn", family.ffn, family.norm2 or family.norm1),
    ):
        if ends is not None:
            reads = port(ends[0], "in")
            stream = port(norm, "in") if family.norm_first else reads  # else it reads the stream itself
            found[Site(index, position)] = Place(reads, port(ends[1], "out"), stream, width, width, ())
    if family.product is not None:
        product, keys = f"{root}.{family.product}", linear[Site(index, "k")].num_out
        found[Site(index, "kv")] = Place(Port(product, "in"), Port(product, "heads"), None, width, keys, ())
    found[Site(index, "tokens")] = Place(Port(root, "in"), Port(root, "tokens"), None, width, width, ())
    taken = {name for place in linear.values() for name, _ in place.parameters}
    rest = [name for name in (f"{root}.{key}" for key, _ in block.named_parameters()) if name not in taken]
    second = () if family.norm2 is None else (f"{root}.{family.norm2}.",)
    for position, path in (("norm1", family.norm1), ("norm2", family.norm2)):
        if path is not None:
            own = [name for name in rest if name.startswith(second) == (position == "norm2")]
            weights = tuple((name, WHOLE) for name in own)
            found[Site(index, position)] = Place(
                port(path, "in"), port(path, "out"), None, width, width, weights
            )
    return found
