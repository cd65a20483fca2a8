"""Losses of the small SAM: masks with ambiguity (Kirillov et al., Segment Anything, section 3), predicted IoU, object centres."""

from collections.abc import Sequence

import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional

from mutdet.proposals.decoders import FusedDecoder
from mutdet.proposals.small_sam import WIDTH
from mutdet.proposals.training_scenes import Sample
from mutdet.settings.train_small_sam import TrainSmallSamSettings

_KINDS = 3
_DENSE = 3


class SmallSamLoss(nn.Module):
    """Losses of the small SAM, and the head of its dense targets, which the finished model does without.

    Args:
        sam: model in training.
        settings: weights of the losses.
    """

    def __init__(self, sam: Sam, settings: TrainSmallSamSettings) -> None:
        super().__init__()
        self.sam = sam
        self._settings = settings
        self._decoder = FusedDecoder(sam)
        self.dense_head = nn.Linear(WIDTH // 8, _DENSE)

    def of_encoder(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Weighted losses that need no prompt."""
        return self._encoder_losses(*self._encode(samples), samples)

    def of_prompts(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """All weighted losses by name, averaged over the samples; their sum is minimised."""
        tokens, peaks = self._encode(samples)
        parts = [_sample_losses(self._decoder, embedding[None], sample, self._settings) for embedding, sample in zip(tokens, samples, strict=True)]
        averaged = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        return {**averaged, **self._encoder_losses(tokens, peaks, samples)}

    def _encode(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        encoded: tuple[Tensor, Tensor] = self.sam.image_encoder.tokens_and_peaks(torch.stack([self.sam.preprocess(sample.image) for sample in samples]))
        return encoded

    def _encoder_losses(self, tokens: Tensor, peaks: Tensor, samples: Sequence[Sample]) -> dict[str, Tensor]:
        cells = self.dense_head(self._decoder.upscaled(tokens.flatten(2).transpose(1, 2)))
        dense = self._decoder.as_map(cells.transpose(1, 2).float())
        return {
            "centres": self._settings.peak_weight * peak_loss(peaks.float(), torch.stack([sample.centres for sample in samples])),
            "dense": self._settings.dense_weight * dense_loss(dense, torch.stack([sample.dense for sample in samples])),
        }


def _sample_losses(decoder: FusedDecoder, embedding: Tensor, sample: Sample, settings: TrainSmallSamSettings) -> dict[str, Tensor]:
    decoded = decoder.decode(embedding, sample.points)
    count = len(sample.masks)
    target_iou = torch.zeros_like(decoded.predicted_iou)
    focal = dice = decoded.predicted_iou.sum() * 0
    if count:
        rows = torch.arange(count).repeat_interleave(_KINDS)
        logits = decoder.masks(decoded, rows, torch.arange(_KINDS).repeat(count)).float().unflatten(0, (count, _KINDS))
        focal_each, dice_each = focal_loss(logits, sample.masks[:, None]), dice_loss(logits, sample.masks[:, None])
        weighted = settings.focal_weight * focal_each + settings.dice_weight * dice_each
        best = weighted.argmin(dim=1, keepdim=True)
        focal, dice = focal_each.gather(1, best).mean(), dice_each.gather(1, best).mean()
        target_iou[:count] = mask_iou(logits.detach(), sample.masks[:, None])
    iou = functional.mse_loss(decoded.predicted_iou.float(), target_iou.float())
    return {"focal": settings.focal_weight * focal, "dice": settings.dice_weight * dice, "iou": settings.iou_weight * iou}


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """[M, 3] focal loss (alpha 0.25 for objects, gamma 2; Lin et al., eq. 5) of logits [M, 3, H, W] against covered shares [M, 1, H, W].

    A mean over all pixels: in small objects the dice loss outweighs it, and must, or all masks stay empty.
    """
    probability = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    balance = 0.25 * target + 0.75 * (1 - target)
    return (balance * (target - probability).square() * entropy).flatten(2).mean(2)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """[M, 3] dice loss of logits [M, 3, H, W] against covered shares [M, 1, H, W]."""
    probability = torch.sigmoid(logits).flatten(2)
    share = target.flatten(2)
    return 1 - (2 * (probability * share).sum(2) + 1) / (probability.sum(2) + share.sum(2) + 1)


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """[M, 3] IoU of masks cut at logit 0 with objects cut at half a cell covered."""
    mask, truth = (logits > 0).flatten(2), (target >= 0.5).flatten(2)
    union = (mask | truth).sum(2)
    return (mask & truth).sum(2) / union.clamp(min=1)


def peak_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss (Law and Deng, CornerNet, eq. 1) of maps [B, H, W], a mean over the objects' centres."""
    probability = torch.sigmoid(logits)
    is_centre = target >= 1
    hit = (1 - probability).square() * functional.logsigmoid(logits) * is_centre
    miss = (1 - target) ** 4 * probability.square() * functional.logsigmoid(-logits) * ~is_centre
    return -(hit + miss).sum() / is_centre.sum().clamp(min=1)


def dense_loss(found: Tensor, target: Tensor) -> Tensor:
    """Cross entropy and dice of objects against background, and the error of the way to the centre, of maps [B, 3, H, W]."""
    covered = target[:, 0]
    entropy = functional.binary_cross_entropy_with_logits(found[:, 0], covered)
    inside = (covered > 0.5)[:, None]
    error = functional.smooth_l1_loss(found[:, 1:], target[:, 1:], reduction="none") * inside
    return 2 * entropy + dice_loss(found[:, None, 0], covered[:, None]).mean() + error.sum() / (2 * inside.sum()).clamp(min=1)
