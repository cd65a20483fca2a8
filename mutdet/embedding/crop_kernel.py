"""The loop over the samples of rotated crops, for a CPU.

The image is read as one long row: indices of several axes cost more than the arithmetic here. Places in that row are unsigned, for a signed one
might count from the end, and is tested for it at every number.
"""

import math

import numpy as np

from mutdet.geometry.compilation import compiled

_1 = np.uint64(1)


@compiled(fastmath={"contract", "reassoc", "nsz"})
def add_samples(image: np.ndarray, boxes: np.ndarray, enlarge: float, samples: int, crops: np.ndarray) -> None:  # pragma: no cover -- compiled
    """Add the mean of samples x samples bilinear samples to every pixel of every crop.

    Args:
        image: [C, H, W] contiguous.
        boxes: [M, 5] float64, as `mutdet.embedding.rotated_crops.rotated_crops` takes them.
        enlarge: factor on w and h.
        samples: along either side of a pixel.
        crops: [M, C, size, size] contiguous, zero at first.
    """
    channels, height, width = image.shape
    size = crops.shape[2]
    count = size * samples
    pixels, cells = image.reshape(-1), crops.reshape(-1)
    plane, area, columns = np.uint64(height * width), np.uint64(size * size), np.uint64(width)
    part = 1.0 / (samples * samples)
    for box in range(len(boxes)):
        cosine, sine = math.cos(boxes[box, 4]), math.sin(boxes[box, 4])
        for step_y in range(count):
            dy = ((step_y + 0.5) / count - 0.5) * enlarge * boxes[box, 3]
            begin_x, begin_y = boxes[box, 0] - 0.5 - dy * sine, boxes[box, 1] - 0.5 + dy * cosine
            row = np.uint64((box * channels * size + step_y // samples) * size)
            for step_x in range(count):
                dx = ((step_x + 0.5) / count - 0.5) * enlarge * boxes[box, 2]
                x, y = begin_x + dx * cosine, begin_y + dx * sine
                if not (-1.0 <= x <= width and -1.0 <= y <= height):  # true of what is no number, too, which must index nothing
                    continue
                x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
                left, top = np.uint64(x), np.uint64(y)
                right_share, lower_share = np.float32(x - left), np.float32((y - top) * part)
                upper_share = np.float32(part) - lower_share
                left_share = np.float32(1.0) - right_share
                right = min(left + _1, columns - _1)
                upper, lower = top * columns, min(top + _1, np.uint64(height) - _1) * columns
                of_a, of_b, of_c, of_d = upper_share * left_share, upper_share * right_share, lower_share * left_share, lower_share * right_share
                cell = row + np.uint64(step_x // samples)
                for _ in range(channels):
                    cells[cell] += of_a * pixels[upper + left] + of_b * pixels[upper + right] + of_c * pixels[lower + left] + of_d * pixels[lower + right]
                    upper += plane
                    lower += plane
                    cell += area
