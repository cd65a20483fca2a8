"""Decoder: queries attend to each other and, along their rotated boxes, to the encoder's memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mutdet.nn.angles import AngleCoding
from mutdet.nn.attention import Attention
from mutdet.nn.deformable_attention import DeformableAttention, Placement
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.feed_forward import FeedForward
from mutdet.nn.full_precision import FullPrecisionLinear
from mutdet.nn.heads import DetectionHead
from mutdet.nn.positions import box_encoding
from mutdet.nn.rotated_attention import Orientation, around_rotated_boxes
from mutdet.settings.detectors import DetectorSettings


@dataclass(frozen=True)
class Memory:
    """What queries look at: tokens [B, K, C], their padding mask [B, K] (True outside the image) and their layout."""

    tokens: Tensor
    padding_mask: Tensor
    levels: FeatureLevels


@dataclass(frozen=True)
class LayerOutputs:
    """Predictions of one set of queries in every decoder layer.

    Attributes:
        logits: [layers, B, Q, N].
        boxes: [layers, B, Q, 4] normalised: centre by image width and height, both sides by the longer of the two.
        angle_logits: [layers, B, Q, A] as the detector's coding of angles reads them.
        states: [layers, B, Q, C] after the shared normalisation; what the heads read and contrastive alignment takes.
    """

    logits: Tensor
    boxes: Tensor
    angle_logits: Tensor
    states: Tensor

    def split(self, count: int) -> tuple["LayerOutputs", "LayerOutputs"]:
        """Outputs of the first `count` queries and of the others."""
        parts = [(x[:, :, :count], x[:, :, count:]) for x in (self.logits, self.boxes, self.angle_logits, self.states)]
        return LayerOutputs(*(first for first, _ in parts)), LayerOutputs(*(rest for _, rest in parts))


class DecoderLayer(nn.Module):
    """Self-attention, rotated deformable cross-attention and feed-forward block, each added and normalised."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.self_attention = Attention(settings.width, settings.heads, settings.dropout)
        self.self_attention_norm = nn.LayerNorm(settings.width)
        self.cross_attention = DeformableAttention(settings.width, settings.heads, settings.levels, settings.points)
        self.cross_attention_norm = nn.LayerNorm(settings.width)
        self.feed_forward = FeedForward(settings.width, settings.feed_forward, settings.dropout)
        self.feed_forward_norm = nn.LayerNorm(settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, states: Tensor, positions: Tensor, mask: Tensor | None, memory: Memory, place: Placement) -> Tensor:
        """[B, Q, C] states to [B, Q, C]; `mask` [B, Q, Q] is True where a query (row) may see another."""
        located = states + positions
        states = self.self_attention_norm(states + self.dropout(self.self_attention(located, located, states, mask)))
        attended = self.cross_attention(states + positions, memory.tokens, memory.padding_mask, memory.levels.shapes, place)
        states = self.cross_attention_norm(states + self.dropout(attended))
        return self.feed_forward_norm(states + self.feed_forward(states))


class Decoder(nn.Module):
    """Stack of decoder layers with iterative refinement, looking forward twice (Zhang et al. 2023, DINO).

    Args:
        settings: architecture.
        coding: how angles are expressed.
        orient: rectangles along which queries look, and how these are turned, from reference boxes and angles.
    """

    def __init__(self, settings: DetectorSettings, coding: AngleCoding, orient: Orientation) -> None:
        super().__init__()
        width = settings.width
        self.width = width
        self.points = settings.points
        self.coding, self.orient = coding, orient
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.decoder_layers))
        self.position = nn.Sequential(FullPrecisionLinear(2 * width, width), nn.ReLU(), FullPrecisionLinear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, content: Tensor, boxes: Tensor, angles: Tensor, mask: Tensor | None, memory: Memory, heads: Sequence[DetectionHead]) -> LayerOutputs:
        """Refine boxes layer by layer.

        Each layer's reference is detached, but its loss also reaches the previous layer's box through the undetached one.
        Heads read normalised states, refinement between layers reads them before that, as in DINO.

        Args:
            content: [B, Q, C] first states.
            boxes: [B, Q, 4] normalised references.
            angles: [B, Q] radians.
            mask: [B, Q, Q] True where a query (row) may see another; None: everywhere.
            memory: what to attend to.
            heads: one `DetectionHead` per layer.
        """
        states, undetached = content, boxes
        outputs: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for layer, head in zip(self.layers, heads, strict=True):
            # The released decoder encodes the sides, too, as those of the rectangle that it looks along.
            looked_along, turns = self.orient(boxes, angles)
            place = around_rotated_boxes(looked_along, turns, memory.levels, self.points)
            states = layer(states, self.position(box_encoding(looked_along, self.width)), mask, memory, place)
            normalised = self.norm(states)
            outputs.append((head.classes(normalised), head.refine(normalised, undetached), head.angle(normalised), normalised))
            if len(outputs) < len(self.layers):
                undetached, angles = self._next_references(states, boxes, head)
                boxes = undetached.detach()
        return LayerOutputs(*map(torch.stack, zip(*outputs, strict=True)))

    def _next_references(self, states: Tensor, boxes: Tensor, head: DetectionHead) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            angles = self.coding.decode(head.angle(states))
        return head.refine(states, boxes), angles
