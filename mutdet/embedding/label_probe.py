"""Nearest-neighbour accuracy of a backbone on the labelled objects of some tiles, while it is being trained."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mutdet.embedding.backbones import Backbone
from mutdet.embedding.labelled_crops import embed_boxes, read_labelled_boxes
from mutdet.embedding.neighbours import comparable, neighbour_accuracy
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.errors import UserError

_BATCH = 64


class LabelProbe:
    """Looks at labels for a figure in the log; draws no random number and changes no weight.

    Args:
        tiles: tables of labelled tiles.
        settings: `probe_objects`, `probe_neighbours` and the side of crops.
        device: of the backbone.

    Raises:
        UserError: no table is given, or the tables hold too few labels.
    """

    def __init__(self, tiles: Sequence[Path], settings: SelfSupervisedSettings, device: torch.device) -> None:
        if not tiles:
            raise UserError("probe_dataset is set, but no table of labelled tiles is given", remedy="give --probe, or leave probe_dataset out")
        self._tiles, self._settings, self._device = tiles, settings, device
        self._boxes = read_labelled_boxes(tiles, settings.probe_objects)
        comparable(self._boxes.categories, self._boxes.images)

    def accuracy(self, backbone: Backbone) -> float:
        """Balanced accuracy in [0, 1]; the backbone is left in evaluation mode."""
        crops = EmbedSettings(boxes="probe", backbone="probe", crop=self._settings.crop_size, batch=_BATCH)
        vectors = embed_boxes(backbone, self._tiles, self._boxes, crops, self._device)
        return neighbour_accuracy(vectors, self._boxes.categories, self._boxes.images, self._settings.probe_neighbours)
