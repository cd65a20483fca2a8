"""A step with the compiled parts of a detector against one without."""

import pytest
import torch
from drawn_tables import TINY
from pseudo_batch import CLASSES, noise_images, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr


def _losses_and_gradients(compiled):
    torch.manual_seed(0)
    detector = ArsDetr(TINY, CLASSES).train()
    detector.train_backbone("upper")
    names = list(detector.state_dict())
    if compiled:
        detector.compile_fixed_shapes()
    images, sizes = noise_images(2)
    targets = [pseudo_objects(3, seed) for seed in range(2)]
    losses = detector.train_pass(images, sizes, targets, [torch.Generator().manual_seed(seed) for seed in range(2)]).detection.values
    torch.stack(list(losses.values())).sum().backward()
    assert list(detector.state_dict()) == names
    return losses, {name: parameter.grad for name, parameter in detector.named_parameters() if parameter.grad is not None}


@pytest.mark.slow
def test_compiled_parts_give_the_same_losses_and_gradients():
    plain, plain_gradients = _losses_and_gradients(compiled=False)
    compiled, gradients = _losses_and_gradients(compiled=True)
    # Sums in another order: float32's rounding, grown by the length of the longest sums.
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-5, atol=1e-6)
    assert gradients.keys() == plain_gradients.keys()
    for name, gradient in plain_gradients.items():
        # A key's bias changes no attention: its gradient is rounding alone.
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=1e-4 * float(gradient.abs().max()) + 1e-6, msg=name)
