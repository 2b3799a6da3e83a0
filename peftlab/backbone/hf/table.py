"""The table of places of a Hugging Face model, out of what is known of its family."""

from collections.abc import Mapping
from dataclasses import replace

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
    stacks = {"": family} if family.decoder is None else {"enc.": family, "dec.": family.decoder}
    roots: list[str] = []
    labels: list[str] = []
    places: dict[Site, Place] = {}
    for name, own in stacks.items():
        blocks = model.get_submodule(own.blocks)
        assert isinstance(blocks, nn.ModuleList)
        for number, block in enumerate(blocks):
            index, root = len(roots), f"{own.blocks}.{number}"
            places |= _linear(index, root, block, own)
            places |= _around(index, root, block, own, places)
            if name != "dec.":
                width = places[Site(index, "norm1")].num_in
                port = Port(root, "in"), Port(root, "tokens")
                places[Site(index, "tokens")] = Place(*port, None, width, width, ())
            roots.append(root)
            labels.append(f"{name}{number}")
    inside = tuple(f"{root}." for root in roots)
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith(inside))
    # CLS or <s> is first in every text; in a decoder, and where nothing is read of it, it is a token as others
    num_prefix_tokens = 0 if family.scores_words else 1
    return Table(tuple(roots), tuple(labels), num_prefix_tokens, places, outside, dict(family.refused))


def _linear(index: int, root: str, block: nn.Module, family: Family) -> dict[Site, Place]:
    """Every linear layer, and every third of one that q, k and v share."""
    parts: dict[str, tuple[str, Part]] = {key: (path, WHOLE) for key, path in _layers(block, family).items()}
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


def _layers(block: nn.Module, family: Family) -> Mapping[str, str]:
    """The linear layers of a block, whose FFN may have a gate."""
    names = {name for name, _ in block.named_modules()}
    return {**family.linear, **family.gated} if names.issuperset(family.gated.values()) else family.linear


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
    width = (
        linear[Site(index, next(iter(family.linear)))].num_in
        if family.fused is None
        else linear[Site(index, "q")].num_in
    )
    for position, ends, norm in (
        ("attn", family.attn, family.norm1),
        ("ffn", family.ffn, family.norm2 or family.norm1),
    ):
        if ends is not None:
            reads = port(ends[0], "in")
            stream = port(norm, "in") if family.norm_first else reads  # else it reads the stream itself
            found[Site(index, position)] = Place(reads, port(ends[1], "out"), stream, width, width, ())
    for position, product, key in (("kv", family.product, "k"), ("xkv", family.cross, "xk")):
        if product is not None:
            ends_at = Port(f"{root}.{product}", "in"), Port(f"{root}.{product}", "heads")
            keys = linear[Site(index, key)].num_out
            found[Site(index, position)] = Place(*ends_at, None, width, keys, ())
    taken = {name for place in linear.values() for name, _ in place.parameters}
    rest = [name for name in (f"{root}.{key}" for key, _ in block.named_parameters()) if name not in taken]
    behind = () if family.ffn is None else (f"{root}.{family.ffn[1]}.",)  # a scale of what the FFN writes
    second = () if family.norm2 is None else (f"{root}.{family.norm2}.", *behind)
    for position, path in (("norm1", family.norm1), ("norm2", family.norm2)):
        if path is not None:
            own = [name for name in rest if name.startswith(second) == (position == "norm2")]
            weights = tuple((name, WHOLE) for name in own)
            found[Site(index, position)] = Place(
                port(path, "in"), port(path, "out"), None, width, width, weights
            )
    return found


def before_norms(places: Mapping[Site, Place]) -> dict[Site, Place]:
    """The same places, of blocks x + attn(norm1(x)), x + ffn(norm2(x)), with the sub-layer behind each norm, for what acts on the
    stream itself."""
    found = dict(places)
    for site, place in places.items():
        behind = {"norm1": "attn", "norm2": "ffn"}.get(site.position)
        if behind is not None:
            body = places[Site(site.block, behind)]
            whole = (
                body.input.module
            )  # which gives its map, too, so that `attn` writes what its last layer gives
            joins = Port(whole, "out") if body.output.module.startswith(f"{whole}.") else body.output
            found[site] = replace(place, sublayer=whole, joins=joins)
    return found
