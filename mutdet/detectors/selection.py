"""From scores to queries, and from predictions to detections."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mutdet.detectors.types import Detections
from mutdet.geometry.rotated_boxes_torch import to_le90
from mutdet.nn.angles import AngleCoding
from mutdet.nn.box_coding import box_scales
from mutdet.nn.decoder import LayerOutputs

WHOLE_IMAGE = (0.5, 0.5, 1.0, 1.0)


def choose_queries(
    scores: Tensor, valid: Tensor, boxes: Tensor, angle_logits: Tensor, queries: int, coding: AngleCoding
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The Q best valid tokens of each image, the better one first.

    Always Q, also in images with fewer valid tokens: the queries left over start from the whole image, upright, so that
    nothing depends on the padding of a batch.

    Args:
        scores: [B, K].
        valid: [B, K] True for tokens that may be chosen.
        boxes: [B, K, 4] normalised.
        angle_logits: [B, K, A].
        queries: Q.
        coding: how angles are expressed.

    Returns:
        Tokens [B, Q], chosen [B, Q], boxes [B, Q, 4] and angles [B, Q], as `Proposals` holds them.
    """
    ranked = F.pad(scores.masked_fill(~valid, -torch.inf), (0, max(0, queries - scores.shape[1])), value=-torch.inf)
    best, tokens = ranked.topk(queries, dim=1)
    chosen = best > -torch.inf
    tokens = tokens.masked_fill(~chosen, 0)
    angles = coding.decode(angle_logits.gather(1, tokens[..., None].expand(-1, -1, angle_logits.shape[-1])))
    references = boxes.gather(1, tokens[..., None].expand(-1, -1, 4))
    references = torch.where(chosen[..., None], references, references.new_tensor(WHOLE_IMAGE))
    return tokens, chosen, references, angles.masked_fill(~chosen, 0.0)


def select_pairs(outputs: LayerOutputs, sizes: Tensor, top: int, coding: AngleCoding) -> tuple[Tensor, Tensor, Tensor]:
    """The best (query, class) pairs of the last layer: boxes [B, n, 5] in pixels as predicted, scores [B, n], labels [B, n]."""
    scores = outputs.logits[-1].sigmoid().flatten(1)
    best, pairs = scores.topk(min(top, scores.shape[1]), dim=1)
    classes = outputs.logits.shape[-1]
    boxes = torch.cat([outputs.boxes[-1] * box_scales(sizes)[:, None], coding.decode(outputs.angle_logits[-1])[..., None]], dim=-1)
    return boxes.gather(1, (pairs // classes)[..., None].expand(-1, -1, 5)), best, pairs % classes


def select_detections(outputs: LayerOutputs, sizes: Tensor, top: int, coding: AngleCoding) -> list[Detections]:
    """`select_pairs` image by image, boxes as le90."""
    boxes, scores, labels = select_pairs(outputs, sizes, top, coding)
    return [Detections(*image) for image in zip(to_le90(boxes), scores, labels, strict=True)]
