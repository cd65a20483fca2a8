"""DIOR-R's XML labels: Pascal VOC with a `robndbox` per object.

Corners are named `x_left_top` ... `y_left_bottom` as in DIOR-R; files of roLabelImg, which hold `cx cy w h angle` (radians, clockwise), are read too.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from mutdet.data.label import Label, OnBadLabel, make_label
from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.errors import UserError

_CORNERS = [f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in "xy"]
_BOX = ["cx", "cy", "w", "h", "angle"]
_REMEDY = "expected name and robndbox with x_left_top ... y_left_bottom, or with cx cy w h angle"


def read_labels(path: Path, on_bad: OnBadLabel) -> list[Label]:
    """Labels of a file; a missing `difficult` is 0.

    Raises:
        UserError: the file is no XML, or whatever `on_bad` raises for a bad object.
    """
    try:
        objects = list(parse(path).iter("object"))
    except (OSError, ParseError, DefusedXmlException, ValueError) as error:
        raise UserError(f"is no readable XML: {error}", file=path, remedy="replace the label file") from error
    labels: list[Label] = []
    for label_id, item in enumerate(objects):
        try:
            labels.append(_parse(item, label_id))
        except ValueError as error:
            on_bad(UserError(str(error), file=path, record=f"object {label_id + 1}", remedy=_REMEDY))
    return labels


def _parse(item: Element, label_id: int) -> Label:
    box = item.find("robndbox")
    if box is None:
        raise ValueError("has no robndbox")
    return make_label(label_id, _coordinates(box), _text(item, "name"), _text(item, "difficult", "0"))


def _coordinates(box: Element) -> list[str]:
    if box.find("cx") is None:
        return [_text(box, name) for name in _CORNERS]
    try:
        numbers = [float(_text(box, name)) for name in _BOX]
    except ValueError as error:
        raise ValueError(f"robndbox: {error}") from error
    return [repr(value) for value in corners(np.array([numbers], dtype=np.float64)).ravel().tolist()]


def _text(parent: Element, name: str, default: str | None = None) -> str:
    text = (parent.findtext(name) or "").strip() or default
    if text is None:
        raise ValueError(f"{parent.tag} has no {name}")
    return text
