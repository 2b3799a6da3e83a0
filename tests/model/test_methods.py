"""What each method trains on each backbone."""

from peftlab.model.methods import table


def test_counts_of_methods_md_and_reasons() -> None:
    methods = ["lora", "prefix", "vpt_deep", "mask_random", "linear_probe"]
    backbones = ["vit_base_patch16_224.augreg_in21k", "swin_tiny_patch4_window7_224.ms_in1k"]
    answers = table(methods, backbones)
    assert [row[0] for row in answers.values()] == [1_327_104, 552_960, 92_160, 421_313, 0]
    assert answers["vpt_deep"][1] == (
        "peft: prompt acts at tokens, which swin_tiny_patch4_window7_224.ms_in1k lacks: its attention reads windows of patches,"
        " among which prompts have no place"
    )
    # r = 8 on the six linear layers of blocks of width d: 8 (4 * 2 d + 2 * 5 d)
    assert answers["lora"][1] == sum(8 * 18 * d * num for d, num in ((96, 2), (192, 2), (384, 6), (768, 2)))
