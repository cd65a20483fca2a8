"""What optics, atmosphere and sensor do to a scene."""

import cv2
import numpy as np


def photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 picture [H, W, 3] of an ideal image [H, W, 3] float32 RGB: blur, fading, haze, colour cast, shot noise, JPEG."""
    picture: np.ndarray = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.35, 0.75)))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    picture = grey + np.float32(rng.uniform(0.55, 0.95)) * (picture - grey)
    contrast, haze = rng.uniform(0.8, 1.08), rng.uniform(0, 22)
    cast = rng.normal(1.0, 0.025, 3)
    picture *= (contrast * cast * rng.uniform(0.9, 1.1)).astype(np.float32)
    picture += np.array([0.9, 1.0, 1.12], dtype=np.float32) * np.float32(haze)
    noise = rng.standard_normal(picture.shape[:2], dtype=np.float32)
    amplitude = np.sqrt(np.clip(picture, 4, 255)) * np.float32(rng.uniform(0.12, 0.42))
    picture += amplitude * noise[..., None]
    clean = np.clip(picture, 0, 255).astype(np.uint8)
    # Red and blue change places for the encoder and again for the decoder.
    _, code = cv2.imencode(".jpg", clean, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(78, 97))])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
