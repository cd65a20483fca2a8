import torch

from mutdet.nn.neck import ChannelMapper
from mutdet.nn.pyramid import extract_pyramid

SIZES = torch.tensor([[64, 96], [96, 64], [50, 70], [64, 96]])


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    neck = ChannelMapper((3, 3, 3), 32, 4)
    pool = torch.nn.MaxPool2d(2, ceil_mode=True)

    def network(images: torch.Tensor) -> list[torch.Tensor]:
        return neck([images, pool(images), pool(pool(images))])

    images = torch.zeros(4, 3, 96, 96)
    for image, (height, width) in zip(images, SIZES.tolist(), strict=True):
        image[:, :height, :width] = torch.randn(3, height, width)
    tokens, levels = extract_pyramid(images, SIZES, network)
    padding = levels.padding_mask
    assert (tokens[padding] == 0).all()
    for number, (height, width) in enumerate(SIZES.tolist()):
        alone, own = extract_pyramid(images[number : number + 1, :, :height, :width], SIZES[number : number + 1], network)
        assert not own.padding_mask.any()
        torch.testing.assert_close(tokens[number][~padding[number]], alone[0])
