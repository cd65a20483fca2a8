import torch
from torchvision.ops import generalized_box_iou, generalized_box_iou_loss

from mutdet.nn.box_coding import box_scales, generalised_iou, inverse_sigmoid, isotropic, to_corners


def random_boxes(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + torch.tensor([0, 0, 0.05, 0.05])


def test_generalised_iou_equals_torchvision() -> None:
    a, b = random_boxes(40, 0), random_boxes(30, 1)
    torch.testing.assert_close(generalised_iou(a[:, None], b), generalized_box_iou(to_corners(a), to_corners(b)), atol=1e-6, rtol=0)
    paired = generalized_box_iou_loss(to_corners(a[:30]), to_corners(b), reduction="none")
    torch.testing.assert_close(1 - generalised_iou(a[:30], b), paired, atol=1e-6, rtol=0)


def test_generalised_iou_of_boxes_without_area_is_finite_with_its_gradient() -> None:
    point = torch.tensor([[0.5, 0.5, 0.0, 0.0]]).requires_grad_()
    value = generalised_iou(point, torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.1, 0.1, 0.2, 0.0]]))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(point.grad).all()


def test_isotropic_boxes_overlap_as_in_pixels() -> None:
    scales = box_scales(torch.tensor([[300, 800]]))[0].double()
    a, b = random_boxes(20, 2), random_boxes(20, 3)
    in_pixels = generalised_iou(a * scales, b * scales)
    torch.testing.assert_close(generalised_iou(isotropic(a, scales), isotropic(b, scales)), in_pixels)
    assert scales.tolist() == [800, 300, 800, 800]


def test_inverse_sigmoid() -> None:
    values = torch.linspace(0, 1, 101)
    torch.testing.assert_close(inverse_sigmoid(values).sigmoid(), values, atol=2e-5, rtol=0)
    assert torch.isfinite(inverse_sigmoid(torch.tensor([-0.5, 0.0, 1.0, 1.5]))).all()
