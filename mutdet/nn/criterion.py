"""The losses of each part of the detector: matching, then `layer_losses`, then a name for every scalar."""

from collections.abc import Sequence
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


def matched_losses(passes: Sequence[tuple[Predictions, LayerOutputs]], targets: BatchTargets, settings: DetectorSettings) -> list[Matched]:
    """Losses of the proposals of all K tokens, every object counting as the one class, and of the matching queries of every layer, each matched anew.

    Passes of a batch through the detector are matched together, so that a GPU waits once for all of them.

    Args:
        passes: of each the proposals, one layer, logits [1, B, K, 1], whose tokens that are not `counted` neither match nor count; and the decoder's output.
        targets: objects of the batch.
        settings: cost and loss weights.
    """
    objects = replace(targets, labels=torch.zeros_like(targets.labels))
    queries = [Predictions(outputs.logits, outputs.boxes, outputs.angle_logits) for _, outputs in passes]
    tables = [_costs(proposals, objects, settings) for proposals, _ in passes] + [_costs(predictions, targets, settings) for predictions in queries]
    matches = match(tables, targets)
    pairs = zip(matches[: len(passes)], matches[len(passes) :], strict=True)
    found = []
    for (proposals, _), predictions, (encoder, decoder) in zip(passes, queries, pairs, strict=True):
        of_proposals = layer_losses(proposals, encoder, objects, settings)
        losses = {f"encoder/{term}": value[0] for term, value in of_proposals.items()}
        found.append(Matched(losses | _name_layers("decoder", layer_losses(predictions, decoder, targets, settings)), encoder[0], decoder))
    return found


def _costs(predictions: Predictions, targets: BatchTargets, settings: DetectorSettings) -> Tensor:
    return pair_costs(predictions.logits, predictions.boxes, predictions.angle_logits, targets, settings, predictions.counted)


def denoising_losses(outputs: LayerOutputs, queries: DenoisingQueries, targets: BatchTargets, settings: DetectorSettings) -> Named:
    """Losses of the denoising queries of every layer: positives return to their object, negatives are background."""
    predictions = Predictions(outputs.logits, outputs.boxes, outputs.angle_logits, queries.present)
    return _name_layers("denoising", layer_losses(predictions, [queries.positives] * len(outputs.logits), targets, settings))


def _name_layers(part: str, values: Named) -> Named:
    return {f"{part}{layer}/{term}": value for term, layers in values.items() for layer, value in enumerate(layers)}
