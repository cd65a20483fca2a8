"""Joints of concrete paving."""

import numpy as np

from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.site import Site


def slabs(site: Site, frame: Frame, pitch: float) -> None:
    """Joints between square slabs, `pitch` metres apart, over a frame."""
    joint = site.palette.concrete.colour * 0.8
    for x in np.arange(-frame.length / 2 + pitch, frame.length / 2, pitch):
        ends = frame.points(np.array([[x, -frame.width / 2], [x, frame.width / 2]]))
        site.canvas.line(ends[0], ends[1], 0.12, joint, 0.6)
    for y in np.arange(-frame.width / 2 + pitch, frame.width / 2, pitch):
        ends = frame.points(np.array([[-frame.length / 2, y], [frame.length / 2, y]]))
        site.canvas.line(ends[0], ends[1], 0.12, joint, 0.6)
