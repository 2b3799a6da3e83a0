"""The table of places of timm's plain ViT family (augreg, DeiT, CLIP, DINOv2): fused qkv, proj, fc1, fc2."""

from torch import nn

from peftlab.backbone.backbone import Place, Port
from peftlab.errors import UserError
from peftlab.site import Site

WHOLE = (0, 1)
NEEDED = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def vit_table(model: nn.Module, name: str) -> tuple[int, dict[Site, Place], tuple[str, ...]]:
    """Depth, places and the parameters outside the blocks of a timm VisionTransformer.

    Raises:
        UserError: if the blocks do not have these modules, as in Swin, EVA-02 or gated MLPs.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not blocks:
        raise UserError(
            f"backbone.name={name} has no `blocks`; legal: timm's plain ViTs (vit_*, deit_*, vit_*_clip_*, dinov2)"
        )
    places: dict[Site, Place] = {}
    for index, block in enumerate(blocks):
        places |= _block_places(index, block, name)
    if len({(place.num_in, place.num_out) for site, place in places.items() if site.position == "attn"}) > 1:
        raise UserError(
            f"backbone.name={name} has blocks of several widths; legal: timm's plain ViTs (vit_*, deit_*, vit_*_clip_*, dinov2)"
        )
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith("blocks."))
    return len(blocks), places, outside


def _block_places(index: int, block: nn.Module, name: str) -> dict[Site, Place]:
    modules = dict(block.named_modules())
    absent = [path for path in NEEDED if path not in modules]
    linear = [path for path in NEEDED if "norm" not in path and not isinstance(modules.get(path), nn.Linear)]
    if absent or linear:
        raise UserError(
            f"backbone.name={name}: block {index} has no plain {(absent or linear)[0]}; legal: timm's plain ViTs, whose blocks"
            f" have {', '.join(NEEDED)}"
        )
    fc1, fc2 = modules["mlp.fc1"], modules["mlp.fc2"]
    if fc1.out_features != fc2.in_features:
        raise UserError(
            f"backbone.name={name}: block {index} has a gated MLP (mlp.fc1 gives {fc1.out_features}, mlp.fc2 takes {fc2.in_features});"
            " legal: timm's plain ViTs"
        )
    root = f"blocks.{index}"
    parts = {"q": (0, 3), "k": (1, 3), "v": (2, 3)}
    found = {Site(index, pos): _linear(root, "attn.qkv", modules, part) for pos, part in parts.items()}
    for position, path in (("out", "attn.proj"), ("mlp1", "mlp.fc1"), ("mlp2", "mlp.fc2")):
        found[Site(index, position)] = _linear(root, path, modules, WHOLE)
    names = [key for key, _ in block.named_parameters()]
    for position, norm, body in (("attn", "norm1", "attn"), ("ffn", "norm2", "mlp")):
        found[Site(index, position)] = _sublayer(root, norm, body, modules)
    # what belongs to no linear layer (norms, LayerScale, q_norm) goes with the norm of its sub-layer
    loose = [key for key in names if key.rsplit(".", 1)[0] not in NEEDED or "norm" in key]
    second = [key for key in loose if key.startswith(("norm2", "mlp", "ls2"))]
    for position, keys in (("norm1", [key for key in loose if key not in second]), ("norm2", second)):
        width = found[Site(index, "attn")].num_in
        port = Port(f"{root}.{position}", "out")
        owned = tuple((f"{root}.{key}", WHOLE) for key in keys)
        found[Site(index, position)] = Place(Port(port.module, "in"), port, None, width, width, owned)
    return found


def _linear(root: str, path: str, modules: dict[str, nn.Module], part: tuple[int, int]) -> Place:
    module = modules[path]
    assert isinstance(module, nn.Linear)
    owned = tuple((f"{root}.{path}.{key}", part) for key, _ in module.named_parameters())
    full = f"{root}.{path}"
    return Place(
        Port(full, "in"),
        Port(full, "out", part),
        None,
        module.in_features,
        module.out_features // part[1],
        owned,
    )


def _sublayer(root: str, norm: str, body: str, modules: dict[str, nn.Module]) -> Place:
    first, last = ("attn.qkv", "attn.proj") if body == "attn" else ("mlp.fc1", "mlp.fc2")
    num_in, num_out = modules[first].in_features, modules[last].out_features
    assert isinstance(num_in, int)
    assert isinstance(num_out, int)
    return Place(
        Port(f"{root}.{body}", "in"),
        Port(f"{root}.{body}", "out"),
        Port(f"{root}.{norm}", "in"),
        num_in,
        num_out,
        (),
    )
