"""What the parts of a detector hand to each other."""

from dataclasses import dataclass

from torch import Tensor

from mutdet.nn.decoder import LayerOutputs
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.matcher import Matches


@dataclass(frozen=True)
class Targets:
    """Objects of one image.

    Attributes:
        boxes: [M, 5] pixels, le90.
        labels: [M] int64, 0 to N - 1.
        embeddings: [M, C] unit length, or None where there are none.
    """

    boxes: Tensor
    labels: Tensor
    embeddings: Tensor | None = None


@dataclass(frozen=True)
class Encoded:
    """Output of the encoder.

    To decode from other features, such as enhanced ones: `dataclasses.replace(encoded, memory=enhanced)`.

    Attributes:
        memory: [B, K, C].
        levels: layout of the tokens.
        padding_mask: [B, K] True outside the image.
        anchors: [B, K, 4] normalised (cx, cy, w, h) of the token's cell before the sigmoid; finite everywhere.
        valid: [B, K] True for tokens that may become proposals: in the image, anchor within (0.01, 0.99).
    """

    memory: Tensor
    levels: FeatureLevels
    padding_mask: Tensor
    anchors: Tensor
    valid: Tensor

    @property
    def sizes(self) -> Tensor:
        """[B, 2] height and width of the images without padding, pixels."""
        return self.levels.sizes

    @property
    def valid_ratios(self) -> Tensor:
        """[B, L, 2] share of a level's (width, height) that the image fills."""
        return self.levels.valid_ratios


@dataclass(frozen=True)
class Proposals:
    """What the encoder's head says of every token, and the Q tokens that become queries.

    Boxes are normalised: centre by image width and height, both sides by the longer of the two.

    Attributes:
        objectness: [B, K] logits; undefined where not `valid`.
        boxes: [B, K, 4] after the sigmoid.
        angle_logits: [B, K, A].
        valid: [B, K] True for tokens that count in losses and ranking.
        tokens: [B, Q] indices of the chosen tokens, best first; meaningless where not `chosen`.
        chosen: [B, Q] False for queries in excess of the valid tokens (tiny images); these start from the whole image.
        reference_boxes: [B, Q, 4] normalised boxes of the chosen tokens, detached.
        reference_angles: [B, Q] their angles, radians.
    """

    objectness: Tensor
    boxes: Tensor
    angle_logits: Tensor
    valid: Tensor
    tokens: Tensor
    chosen: Tensor
    reference_boxes: Tensor
    reference_angles: Tensor


@dataclass(frozen=True)
class Decoded:
    """Output of the decoder: matching queries, and denoising queries where there were any."""

    matching: LayerOutputs
    denoising: LayerOutputs | None


@dataclass(frozen=True)
class DetectionLosses:
    """Named, weighted losses of one pass and who was matched with whom.

    `Matches.target` counts objects over the whole batch: it indexes `torch.cat([t.embeddings for t in targets])`.

    Attributes:
        values: name -> scalar; their sum is the loss.
        encoder: matched tokens (`Matches.query` is a token of 0 to K - 1).
        decoder: matched queries, one entry per layer.
        denoising: positive denoising queries with the object each was made from, every group of every image; None without denoising.
    """

    values: dict[str, Tensor]
    encoder: Matches
    decoder: list[Matches]
    denoising: Matches | None


@dataclass(frozen=True)
class TrainingPass:
    """One pass of images with targets through the whole detector."""

    encoded: Encoded
    decoded: Decoded
    detection: DetectionLosses


@dataclass(frozen=True)
class Detections:
    """Detections of one image, highest score first.

    Attributes:
        boxes: [n, 5] pixels, le90.
        scores: [n] 0 to 1.
        labels: [n] int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
