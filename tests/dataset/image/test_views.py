"""One answer of several views."""

import torch

from peftlab.dataset.image.views import mean_over_views, views_of


def squared(inputs):
    return inputs["images"].flatten(1).square() + inputs["offset"]


def test_it_is_the_mean_of_the_outputs_and_not_the_output_of_the_mean_whatever_the_order():
    images, offset = torch.randn(4, 5, 3, 2, 2, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    expected = images.flatten(2).square().mean(1) + offset
    for order in (torch.arange(5), torch.randperm(5)):
        found = mean_over_views(squared, {"images": images[:, order], "offset": offset})
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_what_has_one_view_is_computed_as_it_is():
    for inputs in ({"images": torch.randn(4, 3, 2, 2)}, {"input_ids": torch.ones(4, 7)}):
        given = []
        answer = torch.randn(4, 2)

        def outputs(own, given=given, answer=answer):
            given.append(own)
            return answer

        assert mean_over_views(outputs, inputs) is answer
        assert given[0] is inputs, "what enters the blocks is remembered by this object"


def test_a_clip_is_one_view_and_several_clips_are_as_many():
    """What stands under the name of clips has an axis of frames, which no view is made of."""
    clips = torch.randn(4, 2, 6, 3, 2, 2, dtype=torch.float64)

    def last(inputs):
        assert inputs["clips"].shape == (4, 6, 3, 2, 2)
        return inputs["clips"][:, -1].flatten(1)

    one = {"clips": clips[:, 0]}
    assert torch.equal(mean_over_views(last, one), clips[:, 0, -1].flatten(1))
    assert views_of(one)[0] is one
    expected = clips[:, :, -1].flatten(2).mean(1)
    torch.testing.assert_close(mean_over_views(last, {"clips": clips}), expected, rtol=0, atol=1e-12)
