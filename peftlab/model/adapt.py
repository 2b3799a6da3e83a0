"""`peftlab.adapt`: a method on somebody's own network, with the words and the defaults of the command line."""

from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.own import is_of_transformers, own_encoder
from peftlab.backbone.table import depth_of
from peftlab.backbone.timm.own import own_backbone
from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.compose import Given, composed_of
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.model.model import Model
from peftlab.stream import generator

# what stands in the config for a network of one's own and its data, which nobody looks for
TEXTS = ("backbone=tiny_text", "dataset=text_hub", "dataset.path=own/data")
CLIPS = ("dataset=moving_digits",)  # on which every method for pictures works, too


def adapt(
    model: nn.Module,
    peft: Given = None,
    *,
    num_classes: int,
    placement: Given = None,
    scaling: Given = None,
    head: Given = None,
    seed: int = 0,
    class_means: Float[Tensor, "c d"] | None = None,
    pool: str | None = None,
) -> Model:
    """A network of timm or transformers with a method on it, as a module of torch:
    `adapt(vit, "lora", placement={"depth": "6-11"}, num_classes=10)`.

    Each group is a choice (`"lora"`), or options of a choice (`{"name": "lora", "rank": 4}`; without a name, of the
    default one), as on the command line. The head starts from `class_means` of the frozen features if they are given,
    else at random. `theta()` goes to one optimizer and, if gamma is trained, `gamma.raw` to another.

    The network is frozen and used as it is: no copy, no hook and no change of mode outside a forward, so it can be
    adapted again. A classifier of its own is left out. No global random state is read. `pool` says how a network of
    transformers is read: `mean`, `first` (by default) or, of a decoder, `last`.

    Raises:
        UserError: as on the command line, for a choice, a key or a value that is not legal or does not fit the network;
            and for methods that choose on training data, of which there are none here.
    """
    backbone = _backbone(model, pool)
    given = {"peft": peft, "placement": placement, "scaling": scaling, "head": head}
    resolved = _resolved(backbone, given, seed, class_means)
    new: nn.Module = resolved.head(backbone.num_features, num_classes, class_means, generator(seed, "head"))
    built = build_cell(resolved, backbone, place_on(resolved, backbone), Start(new))
    built.cell.gamma.requires_grad_(
        True
    )  # fixed gamma has no parameter; in a run of ours the outer loop owns it
    adapted = Model(backbone, built.cell.to(next(model.parameters()).device))
    adapted.network.check(adapted.cell)
    return adapted


def _backbone(model: nn.Module, pool: str | None) -> Backbone:
    if is_of_transformers(model):
        return own_encoder(model, pool)
    if pool is not None:
        raise UserError(
            f"pool={pool} is for networks of transformers; legal: None, as timm's pool by themselves"
        )
    return own_backbone(model)


def _resolved(backbone: Backbone, given: dict[str, Given], seed: int, class_means: Tensor | None) -> Resolved:
    """The config with these choices, on this backbone."""
    words = [f"seed={seed}", *([] if class_means is not None else ["head.init=random"])]
    reads_texts = backbone.input_spec.noun == "texts"
    config = composed_of(given, *words, *(TEXTS if reads_texts else CLIPS))
    if config["head"]["init"] == "linear_probe":
        raise UserError(
            "head.init=linear_probe is fitted on training items, and there are none here; legal: class_mean, random"
        )
    if config["head"]["init"] == "class_mean" and class_means is None:
        raise UserError(
            "head.init=class_mean needs the mean features of each class; legal: class_means=TENSOR, or random"
        )
    config["backbone"] |= {"depth": depth_of(backbone.labels)}
    if not reads_texts:
        config["backbone"]["name"] = backbone.name
    return resolve(config)
