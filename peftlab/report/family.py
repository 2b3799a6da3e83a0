"""The families of methods, as documents and pictures group them."""

FAMILIES = {
    "head only": ("linear_probe",),
    "low-rank": ("lora", "dora", "pissa", "vera", "dylora"),
    "adapters": (
        *("adapter_houlsby", "adapter_pfeiffer", "adapter_parallel", "adapter_scaled_parallel"),
        "adaptformer",
    ),
    "attention": ("prefix", "mh_pa"),
    "prompts": ("vpt_shallow", "vpt_deep", "soft_prompt", "gated_prompt"),
    "class texts": ("coop", "cocoop", "maple"),
    "vectors of towers": ("clip_adapter",),
    "over frames": ("st_adapter", "aim"),
    "scale and shift": ("ssf", "ia3"),
    "hybrid": ("mam", "unipelt", "hlpt", "h2lpt", "noah"),
    "selective": (
        *("bitfit", "layernorm", "partial", "full", "mask_random", "mask_fisher", "mask_magnitude"),
        *("mask_heads", "mask_neurons"),
    ),
}
HEAD_ALONE = "linear_probe"  # what every method is compared with
OF = {method: family for family, methods in FAMILIES.items() for method in methods}


def family(method: str) -> str:
    """The family of a choice of `peft`; one that is not peftlab's own is of the family `other`."""
    return OF.get(method, "other")


def order(method: str) -> tuple[int, int]:
    """Where a method stands in a list by families; what is not known stands last."""
    families = list(FAMILIES)
    own = family(method)
    if own not in FAMILIES:
        return len(families), 0
    return families.index(own), FAMILIES[own].index(method)
