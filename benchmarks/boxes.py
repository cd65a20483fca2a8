"""Rotated boxes of masks cropped to their extent, against outlines searched in the whole tile."""

import argparse

import cv2
import numpy as np
from measuring import Measurement, machine, measure

from mutdet.proposals.mask import Region, decode_mask
from mutdet.proposals.mask_boxes import box_of_region

Codes = list[bytes]


def masks(count: int, side: int) -> Codes:
    """Run-length codes of filled ellipses, 10 to 200 pixels long."""
    random = np.random.default_rng(0)
    codes: Codes = []
    for _ in range(count):
        pixels = np.zeros((side, side), np.uint8)
        centre, axes = random.integers(0, side, 2).tolist(), (random.integers(5, 100), random.integers(3, 30))
        cv2.ellipse(pixels, centre, (int(axes[0]), int(axes[1])), float(random.uniform(0, 180)), 0, 360, 1, -1)
        codes.append(Region.of(pixels).coded((side, side)))
    return codes


def cropped(codes: Codes, side: int) -> np.ndarray:
    return np.array([box_of_region(Region.decoded((side, side), code)) for code in codes])


def full_frame(codes: Codes, side: int) -> np.ndarray:
    found = []
    for code in codes:
        outlines, _ = cv2.findContours(decode_mask((side, side), code), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        (cx, cy), (w, h), _ = cv2.minAreaRect(max(outlines, key=cv2.contourArea))
        found.append((cx + 0.5, cy + 0.5, max(w, h) + 1, min(w, h) + 1))
    return np.array(found)


def show(name: str, measured: Measurement, count: int) -> None:
    print(f"{name:24s} {1000 * measured.seconds / count:7.3f} ms a mask {measured.megabytes:6.0f} MB peak ({measured.start_megabytes:.0f} MB before)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=1000)
    parser.add_argument("--side", type=int, default=1024, help="pixels of a tile")
    given = parser.parse_args()
    print(f"{machine()}; {given.masks} masks in tiles of {given.side} px")
    codes = masks(given.masks, given.side)
    ours, other = measure(cropped, codes, given.side), measure(full_frame, codes, given.side)
    show("cropped", ours, given.masks)
    show("whole tile", other, given.masks)
    print(f"{other.seconds / ours.seconds:.1f} times as fast; largest difference {np.abs(ours.value[:, :4] - other.value).max():.1e} px")
