"""Pixels of tiles as torchvision's own networks are given them."""

import cv2
import numpy as np
import torch
from torchvision.models import ResNet50_Weights

from mutdet.embedding.tile_images import decode_image, normalised


def test_tiles_are_rgb_and_normalised_as_for_torchvisions_weights() -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    decoded = decode_image(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), "t")
    np.testing.assert_array_equal(decoded, image)
    expected = ResNet50_Weights.IMAGENET1K_V1.transforms(crop_size=224, resize_size=224)(torch.from_numpy(image).permute(2, 0, 1))
    torch.testing.assert_close(normalised(decoded), expected, rtol=0, atol=1e-5)
