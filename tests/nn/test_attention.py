import torch

from mutdet.nn.attention import Attention
from mutdet.nn.mutual_enhancement import MutualEnhancement, pad_objects


def test_attention_equals_torch_multihead_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(32, 4), torch.nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.output.weight)
    query, memory = torch.randn(2, 5, 32), torch.randn(2, 7, 32)
    mask = torch.rand(2, 5, 7) > 0.4
    mask[..., 0] = True
    expected = theirs(query, memory, memory, attn_mask=~mask.repeat_interleave(4, 0))[0]
    torch.testing.assert_close(ours(query, memory, memory, mask), expected, atol=1e-5, rtol=1e-5)


def test_nothing_to_see_gives_the_bias() -> None:
    attention = Attention(32, 4)
    torch.nn.init.normal_(attention.output.bias)
    x = torch.randn(1, 3, 32, requires_grad=True)
    out = attention(x, x, x, torch.zeros(1, 3, 3, dtype=torch.bool))
    torch.testing.assert_close(out, attention.output.bias.expand(1, 3, -1))
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_enhancement_of_a_batch_equals_each_image_alone() -> None:
    torch.manual_seed(0)
    module = MutualEnhancement(32, 4, 64, 2)
    features = torch.randn(3, 10, 32)
    seen = torch.arange(10) < torch.tensor([[10], [6], [8]])
    ragged = [torch.randn(count, 32) for count in (4, 1, 0)]
    enhanced, objects = module(features, *pad_objects(ragged)[:1], seen, pad_objects(ragged)[1])
    for image, own in enumerate(ragged[:2]):
        alone, own_objects = module(features[image : image + 1, seen[image]], own[None])
        torch.testing.assert_close(enhanced[image, seen[image]], alone[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(objects[image, : len(own)], own_objects[0], atol=1e-5, rtol=1e-5)


def test_enhancement_without_any_object_is_finite() -> None:
    module = MutualEnhancement(32, 4, 64, 2)
    features = torch.randn(2, 10, 32, requires_grad=True)
    objects, present = pad_objects([torch.zeros(0, 32), torch.zeros(0, 32)])
    enhanced, _ = module(features, objects, None, present)
    enhanced.sum().backward()
    assert torch.isfinite(enhanced).all()
    assert torch.isfinite(features.grad).all()
