"""What two-stage deformable detectors of rotated boxes share: everything but how an angle is expressed, where queries look, and denoising."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from mutdet.detectors.selection import choose_queries, select_detections
from mutdet.detectors.types import Decoded, DetectionLosses, Detections, Encoded, Proposals, Targets, TrainingPass
from mutdet.nn.anchors import make_anchors
from mutdet.nn.angles import AngleCoding
from mutdet.nn.backbones import Extent, build_backbone
from mutdet.nn.batch_targets import BatchTargets, collect_targets
from mutdet.nn.criterion import denoising_losses, matched_losses
from mutdet.nn.decoder import Decoder, LayerOutputs, Memory
from mutdet.nn.denoising import DenoisingQueries, attention_mask
from mutdet.nn.encoder import Encoder
from mutdet.nn.feature_memory import FeatureMemory
from mutdet.nn.full_precision import at_least_single, full_precision
from mutdet.nn.heads import DetectionHead, EncoderHead
from mutdet.nn.losses import Predictions
from mutdet.nn.neck import ChannelMapper
from mutdet.nn.positions import grid_encoding
from mutdet.nn.pyramid import extract_pyramid
from mutdet.nn.rotated_attention import Orientation
from mutdet.nn.token_projection import TokenProjection
from mutdet.settings.detectors import DetectorSettings

CLASS_DEPENDENT = ("denoising_labels.", ".classes.")
SLOW = ("backbone.", ".sampling_offsets.")


class TwoStageDetr(nn.Module):
    """Detector of N classes of rotated boxes.

    A training step is `encode`, `project_memory`, `propose`, `denoise`, `decode`, `losses`, or all in one, `train_pass`; inference is `predict`.

    Images are normalised RGB, padded right and below to a common size. Every image is computed as if it were alone:
    padding and the other images of the batch change nothing.

    A detector is a class derived from it that is constructed as `Detector(settings, classes)`.

    Args:
        settings: architecture, cost and loss weights.
        classes: N.
        coding: how angles are expressed.
        orient: where queries look, given reference boxes and angles.
    """

    def __init__(self, settings: DetectorSettings, classes: int, coding: AngleCoding, orient: Orientation) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        self.classes = classes
        self.coding = coding
        self.backbone = build_backbone(settings.backbone)
        self._memory = FeatureMemory()
        self.neck = ChannelMapper(self.backbone.channels, width, settings.levels)
        self.level_embedding = nn.Parameter(torch.randn(settings.levels, width))
        self.encoder = Encoder(settings)
        self.token_projection = TokenProjection(width)
        self.encoder_head = EncoderHead(settings, coding.outputs)
        self.query_content = nn.Parameter(torch.randn(settings.queries, width))
        self._build_denoising()
        self.decoder = Decoder(settings, coding, orient)
        self.heads = nn.ModuleList(DetectionHead(settings, classes, coding.outputs) for _ in range(settings.decoder_layers))

    def encode(self, images: Tensor, sizes: Tensor | None = None) -> Encoded:
        """Backbone, neck and encoder.

        Args:
            images: [B, 3, H, W].
            sizes: [B, 2] int64 height and width of each image without padding; None: no padding.
        """
        if sizes is None:
            sizes = torch.tensor(images.shape[2:]).expand(len(images), 2)
        features = partial(self._memory.features, self.backbone) if self.training else self.backbone
        tokens, levels = extract_pyramid(images, sizes, lambda group: self.neck(features(group)))
        cells = [rows * columns for rows, columns in levels.shapes]
        level_of_token = torch.repeat_interleave(self.level_embedding, torch.tensor(cells, device=images.device), dim=0, output_size=sum(cells))
        padding_mask = levels.padding_mask
        memory = self.encoder(at_least_single(tokens), grid_encoding(levels, self.settings.width) + level_of_token, padding_mask, levels)
        return Encoded(memory, levels, padding_mask, *make_anchors(levels, padding_mask))

    def project_memory(self, encoded: Encoded) -> Tensor:
        """Linear and LayerNorm of the memory, tokens that are not `encoded.valid` zeroed before: [B, K, C]."""
        return self.token_projection(encoded.memory, encoded.valid)

    def objectness(self, tokens: Tensor) -> Tensor:
        """Objectness logits [B, K] of tokens [B, K, C], as `propose` finds them."""
        return self.encoder_head.objectness(tokens).squeeze(-1)

    def propose(self, encoded: Encoded, tokens: Tensor, scores: Tensor | None = None) -> Proposals:
        """Boxes of all tokens [B, K, C]; the best Q become queries, ranked by `scores` [B, K] (default: objectness logit)."""
        objectness = self.objectness(tokens)
        boxes = self.encoder_head.boxes(tokens, encoded.anchors)
        angle_logits = self.encoder_head.angle(tokens)
        ranking = objectness if scores is None else scores
        queries = choose_queries(ranking.detach(), encoded.valid, boxes.detach(), angle_logits.detach(), self.settings.queries, self.coding)
        return Proposals(objectness, boxes, angle_logits, encoded.valid, *queries)

    def denoise(self, targets: Sequence[Targets], sizes: Tensor, generators: Sequence[torch.Generator]) -> DenoisingQueries | None:
        """Noised copies of the targets, for detectors that learn from them; None without any object. Two branches that share them call this once.

        Args:
            targets: one per image.
            sizes: [B, 2] as `Encoded.sizes`.
            generators: one per image, on the CPU.
        """
        return None

    def decode(self, encoded: Encoded, proposals: Proposals, denoising: DenoisingQueries | None = None) -> Decoded:
        """Refine proposals, and denoising queries along with them, against `encoded.memory`."""
        if denoising is None:
            return Decoded(self.decode_queries(encoded, proposals), None)
        outputs = self.decoder(
            torch.cat([denoising.content, self.query_content.expand(len(encoded.memory), -1, -1)], dim=1),
            torch.cat([denoising.boxes, proposals.reference_boxes], dim=1),
            torch.cat([denoising.angles, proposals.reference_angles], dim=1),
            attention_mask(denoising, self.settings.queries),
            _memory(encoded),
            self._heads,
        )
        noised, matching = outputs.split(len(denoising))
        return Decoded(matching, noised)

    def decode_queries(self, encoded: Encoded, proposals: Proposals, hints: Tensor | None = None, seen: Tensor | None = None) -> LayerOutputs:
        """Refine proposals alone.

        Args:
            encoded: what to attend to.
            proposals: where queries start.
            hints: [B, Q, C] added to the content of the queries; None: nothing.
            seen: [B, Q, Q] True where a query (row) may see another; None: everywhere.
        """
        content = self.query_content.expand(len(encoded.memory), -1, -1)
        content = content if hints is None else content + hints
        return self.decoder(content, proposals.reference_boxes, proposals.reference_angles, seen, _memory(encoded), self._heads)

    def losses(
        self,
        proposals: Proposals,
        decoded: Decoded,
        denoising: DenoisingQueries | None,
        targets: Sequence[Targets],
        sizes: Tensor,
        prefix: str = "",
    ) -> DetectionLosses:
        """Losses of the encoder's head, every decoder layer and, where `decoded` holds them, denoising queries.

        Names are `<prefix><part>/<term>`: part "encoder", "decoder0"..., "denoising0"..., term "class", "box", "giou", "angle".

        Args:
            proposals: of `propose`.
            decoded: of `decode`.
            denoising: what `decode` was given.
            targets: one per image.
            sizes: [B, 2] as `Encoded.sizes`.
            prefix: beginning of the names.
        """
        return self.losses_together({prefix: (proposals, decoded)}, denoising, targets, sizes)[prefix]

    def losses_together(
        self, passes: Mapping[str, tuple[Proposals, Decoded]], denoising: DenoisingQueries | None, targets: Sequence[Targets], sizes: Tensor
    ) -> dict[str, DetectionLosses]:
        """`losses` of several passes of the same images and denoising queries, matched together: prefix of the names -> (proposals, decoded)."""
        with full_precision(self.query_content.device):
            objects = self._collect(targets, sizes)
            parts = [(_tokens(proposals), decoded.matching) for proposals, decoded in passes.values()]
            matched = matched_losses(parts, objects, self.settings)
            noised = [self._denoising_losses(decoded, denoising, objects) for _, decoded in passes.values()]
        positives = None if denoising is None else denoising.positives
        return {
            prefix: DetectionLosses({prefix + name: value for name, value in (one.losses | more).items()}, one.encoder, one.decoder, positives)
            for prefix, one, more in zip(passes, matched, noised, strict=True)
        }

    def _denoising_losses(self, decoded: Decoded, denoising: DenoisingQueries | None, objects: BatchTargets) -> dict[str, Tensor]:
        if denoising is None or decoded.denoising is None:
            return {}
        return denoising_losses(decoded.denoising, denoising, objects, self.settings)

    def train_pass(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> TrainingPass:
        """Supervised step on targets; arguments as for `encode` and `denoise`."""
        encoded = self.encode(images, sizes)
        proposals = self.propose(encoded, self.project_memory(encoded))
        denoising = self.denoise(targets, sizes, generators)
        decoded = self.decode(encoded, proposals, denoising)
        return TrainingPass(encoded, decoded, self.losses(proposals, decoded, denoising, targets, sizes))

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> tuple[Encoded, Proposals, Decoded]:
        """Raw outputs without denoising; arguments as for `encode`."""
        encoded = self.encode(images, sizes)
        proposals = self.propose(encoded, self.project_memory(encoded))
        return encoded, proposals, self.decode(encoded, proposals)

    @torch.no_grad()
    def predict(self, images: Tensor, sizes: Tensor | None = None, top: int = 300) -> list[Detections]:
        """The `top` best (query, class) pairs of each image, without threshold or suppression. Call in evaluation mode."""
        encoded, _, decoded = self(images, sizes)
        return select_detections(decoded.matching, encoded.sizes, top, self.coding)

    def train_backbone(self, extent: Extent) -> None:
        """What of the backbone trains: "nothing", "upper" (all but stem, first stage and batch normalisation) or "all".

        Batch-norm statistics never change in training; `mutdet.nn.backbones.reestimate_batch_norm` sets them anew.
        """
        self.backbone.set_extent(extent)

    def compile_fixed_shapes(self) -> None:
        """Compile what sees one shape throughout a training: backbone, neck and encoder. Names of weights stay; the rest changes with every batch's objects."""
        for part in (self.backbone, self.neck, *self.encoder.layers):
            part.compile()

    def shared_state(self) -> dict[str, Tensor]:
        """State that does not depend on the classes: all but class heads and denoising label embedding."""
        return {name: value for name, value in self.state_dict().items() if not any(part in name for part in CLASS_DEPENDENT)}

    def slow_parameters(self) -> list[str]:
        """Names of parameters that train at a tenth of the learning rate: backbone and sampling offsets."""
        return [name for name, _ in self.named_parameters() if any(part in name for part in SLOW)]

    @property
    def _heads(self) -> Sequence[DetectionHead]:
        return cast(Sequence[DetectionHead], self.heads)

    def _build_denoising(self) -> None:
        """What denoising queries are made of; built between query table and decoder, so that a seed gives the weights that it always gave."""

    def _collect(self, targets: Sequence[Targets], sizes: Tensor) -> BatchTargets:
        device, dtype = self.query_content.device, self.query_content.dtype
        return collect_targets([t.boxes for t in targets], [t.labels for t in targets], sizes.to(device), self.coding, dtype)


def _memory(encoded: Encoded) -> Memory:
    return Memory(encoded.memory, encoded.padding_mask, encoded.levels)


def _tokens(proposals: Proposals) -> Predictions:
    """What all tokens predict, one layer."""
    return Predictions(proposals.objectness[None, ..., None], proposals.boxes[None], proposals.angle_logits[None], proposals.valid)
