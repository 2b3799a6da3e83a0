"""The places of one transformer block, found by the names that timm gives its modules."""

from torch import nn

from peftlab.backbone.backbone import Place, Port
from peftlab.errors import UserError
from peftlab.site import Site

Part = tuple[int, int]
WHOLE: Part = (0, 1)
FIRST, SECOND = (0, 2), (1, 2)
# attention modules whose heads are softmax(q k^T + bias) v of the tokens that they read
ATTENTIONS = ("Attention", "AttentionRope", "EvaAttention", "RelPosAttention", "WindowAttention")


def block_places(index: int, root: str, block: nn.Module, name: str) -> dict[Site, Place]:
    """Every place of one block x + attn(norm1(x)), x + mlp(norm2(x)) whose module name is `root`.

    q, k, v are one fused matrix or three, the MLP is plain or gated; a sub-layer writes what joins the residual, so
    behind LayerScale where there is one. It has `kv` where its attention is one of ATTENTIONS.

    Raises:
        UserError: if a module is absent or of another kind.
    """
    modules = dict(block.named_modules())
    linear = {position: _layer(modules, path, index, name) for position, path in _attention(modules).items()}
    linear |= {position: _layer(modules, path, index, name) for position, path in _mlp(modules).items()}
    _check(modules, index, name)
    names = [key for key, _ in block.named_parameters()]
    found = {Site(index, key): _linear(root, *layer, key, names) for key, layer in linear.items()}
    width, heads = linear["q"][1].in_features, linear["out"][1].in_features
    found[Site(index, "attn")] = _sublayer(root, block, "attn", "1", width)
    found[Site(index, "ffn")] = _sublayer(root, block, "mlp", "2", width)
    reads = Port(f"{root}.attn", "in")
    if type(modules["attn"]).__name__ in ATTENTIONS:
        # the product as one call, which a prefix can take part in: the same function, and Swin's is not by default
        modules["attn"].fused_attn = True
        found[Site(index, "kv")] = Place(reads, Port(f"{root}.attn", "heads"), None, width, heads, ())
    # what belongs to no linear layer (norms, LayerScale, q_norm, relative positions) goes with its sub-layer's norm
    owned = {key for place in found.values() for key, _ in place.parameters}
    loose = [key for key in names if f"{root}.{key}" not in owned]
    second = [key for key in loose if key.startswith(("norm2", "mlp", "ls2", "gamma_2"))]
    for position, behind, keys in (
        ("norm1", "attn", [key for key in loose if key not in second]),
        ("norm2", "ffn", second),
    ):
        own = tuple((f"{root}.{key}", WHOLE) for key in keys)
        ports = Port(f"{root}.{position}", "in"), Port(f"{root}.{position}", "out")
        body = found[Site(index, behind)]
        joins = None if body.residual is None else body.output
        found[Site(index, position)] = Place(*ports, None, width, width, own, body.input.module, joins)
    return found


def tokens_place(root: str, width: int) -> Place:
    """The sequence that enters a block, for prompts."""
    return Place(Port(root, "in"), Port(root, "tokens"), None, width, width, ())


def _attention(modules: dict[str, nn.Module]) -> dict[str, tuple[str, Part]]:
    fused = "attn.q_proj" not in modules
    third = {
        key: ("attn.qkv", (i, 3)) if fused else (f"attn.{key}_proj", WHOLE) for i, key in enumerate("qkv")
    }
    return {**third, "out": ("attn.proj", WHOLE)}


def _mlp(modules: dict[str, nn.Module]) -> dict[str, tuple[str, Part]]:
    """mlp2(act(gate(x)) mlp1(x)) if gated, in two matrices or packed into one; else mlp2(act(mlp1(x)))."""
    second = ("mlp.fc2", WHOLE)
    if "mlp.fc1_g" in modules:
        return {"mlp1": ("mlp.fc1_x", WHOLE), "gate": ("mlp.fc1_g", WHOLE), "mlp2": second}
    gate_last = getattr(modules.get("mlp"), "gate_last", None)
    if gate_last is None:
        return {"mlp1": ("mlp.fc1", WHOLE), "mlp2": second}
    value, gate = (FIRST, SECOND) if gate_last else (SECOND, FIRST)
    return {"mlp1": ("mlp.fc1", value), "gate": ("mlp.fc1", gate), "mlp2": second}


def _layer(
    modules: dict[str, nn.Module], at: tuple[str, Part], index: int, name: str
) -> tuple[str, nn.Linear, Part]:
    path, part = at
    module = modules.get(path)
    if not isinstance(module, nn.Linear):
        raise UserError(
            f"backbone.name={name}: block {index} has no plain {path}; legal: blocks with norm1, attn.qkv (or q_proj, k_proj,"
            " v_proj), attn.proj, norm2, mlp.fc1 (or fc1_g, fc1_x), mlp.fc2"
        )
    return path, module, part


def _check(modules: dict[str, nn.Module], index: int, name: str) -> None:
    """Modules of these names could still be put together in another way: what their shapes say of it."""
    said = f"backbone.name={name}: block {index}"
    for path in ("norm1", "norm2"):
        if path not in modules:
            raise UserError(f"{said} has no {path}; legal: blocks with norm1, norm2")
    if "attn.gate" in modules:
        raise UserError(
            f"{said} gates its heads (attn.gate), which no position stands for; legal: attention without a gate"
        )
    packed = 2 if hasattr(modules["mlp"], "gate_last") else 1
    for first, last, times in (("attn.qkv", "attn.proj", 3), ("mlp.fc1", "mlp.fc2", packed)):
        given = getattr(modules.get(first), "out_features", None)
        taken = getattr(modules[last], "in_features", 0)
        if given not in (None, times * taken):
            raise UserError(
                f"{said}: {first} gives {given} and {last} takes {taken}; legal: {times * taken} for {taken}"
            )


def _linear(root: str, path: str, module: nn.Linear, part: Part, position: str, names: list[str]) -> Place:
    full = f"{root}.{path}"
    owned = [(f"{full}.{key}", part) for key, _ in module.named_parameters()]
    key = f"attn.{position}_bias"  # BEiT and EVA keep the bias of q and v beside the matrix, and k has none
    apart = f"{root}.{key}" if key in names else None
    if apart is not None:
        owned.append((apart, WHOLE))
    source = (
        f"{root}.mlp.act" if path == "mlp.fc2" else None
    )  # if there is a norm or a gate behind it, a kernel sees that
    ports = Port(full, "in", source=source), Port(full, "out", part, apart)
    return Place(*ports, None, module.in_features, module.out_features // part[1], tuple(owned))


def _sublayer(root: str, block: nn.Module, body: str, number: str, width: int) -> Place:
    """Reads the sub-module's input, writes what joins the residual: behind LayerScale, a module or a parameter."""
    output = body
    if not isinstance(getattr(block, f"ls{number}", nn.Identity()), nn.Identity):
        output = f"ls{number}"
    elif getattr(block, f"gamma_{number}", None) is not None:
        output = f"drop_path{number}"  # the next module that is called: it gets the product
    # attention over windows reads and writes another arrangement of the tokens than the stream has
    windows = body == "attn" and bool(getattr(block, "window_size", None))
    residual = None if windows else Port(f"{root}.norm{number}", "in")
    return Place(Port(f"{root}.{body}", "in"), Port(f"{root}.{output}", "out"), residual, width, width, ())
