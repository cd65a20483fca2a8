"""The losses of each part of the detector: matching, then `layer_losses`, then a name for every scalar."""

from dataclasses import replace

import torch
from torch import Tensor

from mutdet.nn.batch_targets import BatchTargets
from mutdet.nn.decoder import LayerOutputs
from mutdet.nn.denoising import DenoisingQueries
from mutdet.nn.losses import Predictions, layer_losses
from mutdet.nn.matcher import Matches, match
from mutdet.settings.detectors import DetectorSettings

Named = dict[str, Tensor]


def encoder_losses(
    objectness: Tensor, boxes: Tensor, angle_logits: Tensor, valid: Tensor, targets: BatchTargets, settings: DetectorSettings
) -> tuple[Named, Matches]:
    """Losses of the proposals of all K tokens, every object counting as the one class.

    Args:
        objectness: [B, K] logits.
        boxes: [B, K, 4] normalised.
        angle_logits: [B, K, A].
        valid: [B, K] False for tokens that neither match nor count.
        targets: objects of the batch.
        settings: cost and loss weights.
    """
    objects = replace(targets, labels=torch.zeros_like(targets.labels))
    predictions = Predictions(objectness[None, ..., None], boxes[None], angle_logits[None], valid)
    matches = match(predictions.logits, predictions.boxes, predictions.angle_logits, objects, settings, valid)
    values = layer_losses(predictions, matches, objects, settings)
    return {f"encoder/{term}": value[0] for term, value in values.items()}, matches[0]


def decoder_losses(outputs: LayerOutputs, targets: BatchTargets, settings: DetectorSettings) -> tuple[Named, list[Matches]]:
    """Losses of the matching queries of every layer, each matched anew."""
    predictions = Predictions(outputs.logits, outputs.boxes, outputs.angle_logits)
    matches = match(predictions.logits, predictions.boxes, predictions.angle_logits, targets, settings)
    return _name_layers("decoder", layer_losses(predictions, matches, targets, settings)), matches


def denoising_losses(outputs: LayerOutputs, queries: DenoisingQueries, targets: BatchTargets, settings: DetectorSettings) -> Named:
    """Losses of the denoising queries of every layer: positives return to their object, negatives are background."""
    predictions = Predictions(outputs.logits, outputs.boxes, outputs.angle_logits, queries.present)
    return _name_layers("denoising", layer_losses(predictions, [queries.positives] * len(outputs.logits), targets, settings))


def _name_layers(part: str, values: Named) -> Named:
    return {f"{part}{layer}/{term}": value for term, layers in values.items() for layer, value in enumerate(layers)}
