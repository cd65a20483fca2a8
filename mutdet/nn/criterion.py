"""The losses of each part of the detector: matching, then `layer_losses`, then a name for every scalar."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mutdet.nn.batch_targets import BatchTargets
from mutdet.nn.decoder import LayerOutputs
from mutdet.nn.denoising import DenoisingQueries
from mutdet.nn.losses import Predictions, layer_losses
from mutdet.nn.matcher import Matches, match, pair_costs
from mutdet.settings.detectors import DetectorSettings

Named = dict[str, Tensor]


@dataclass(frozen=True)
class Matched:
    """Losses of proposals and matching queries, and the pairs that they rest on, of the encoder and of every decoder layer."""

    losses: Named
    encoder: Matches
    decoder: list[Matches]


def matched_losses(proposals: Predictions, outputs: LayerOutputs, targets: BatchTargets, settings: DetectorSettings) -> Matched:
    """Losses of the proposals of all K tokens, every object counting as the one class, and of the matching queries of every layer, each matched anew.

    Args:
        proposals: one layer, logits [1, B, K, 1]; tokens that are not `counted` neither match nor count.
        outputs: of the decoder.
        targets: objects of the batch.
        settings: cost and loss weights.
    """
    objects = replace(targets, labels=torch.zeros_like(targets.labels))
    predictions = Predictions(outputs.logits, outputs.boxes, outputs.angle_logits)
    tables = [_costs(proposals, objects, settings), _costs(predictions, targets, settings)]
    encoder, decoder = match(tables, targets)
    of_proposals = layer_losses(proposals, encoder, objects, settings)
    losses = {f"encoder/{term}": value[0] for term, value in of_proposals.items()}
    return Matched(losses | _name_layers("decoder", layer_losses(predictions, decoder, targets, settings)), encoder[0], decoder)


def _costs(predictions: Predictions, targets: BatchTargets, settings: DetectorSettings) -> Tensor:
    return pair_costs(predictions.logits, predictions.boxes, predictions.angle_logits, targets, settings, predictions.counted)


def denoising_losses(outputs: LayerOutputs, queries: DenoisingQueries, targets: BatchTargets, settings: DetectorSettings) -> Named:
    """Losses of the denoising queries of every layer: positives return to their object, negatives are background."""
    predictions = Predictions(outputs.logits, outputs.boxes, outputs.angle_logits, queries.present)
    return _name_layers("denoising", layer_losses(predictions, [queries.positives] * len(outputs.logits), targets, settings))


def _name_layers(part: str, values: Named) -> Named:
    return {f"{part}{layer}/{term}": value for term, layers in values.items() for layer, value in enumerate(layers)}
