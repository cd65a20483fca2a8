"""Released ARS-DETR and MutDet checkpoints (mmrotate's names) to our detector."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.settings.detectors import Backbone, DetectorSettings
from mutdet.settings.errors import UserError

HEADS = 8
"""Number of attention heads; no tensor's shape tells it."""

_ATTENTION = {"sampling_offsets": "sampling_offsets", "attention_weights": "attention_weights", "value_proj": "values", "output_proj": "output"}
_FEED_FORWARD = {"layers.0.0": "expand", "layers.1": "contract"}
_ENCODER_NORMS = ("attention_norm", "feed_forward_norm")
_DECODER_NORMS = ("self_attention_norm", "cross_attention_norm", "feed_forward_norm")
_PREFIX = "bbox_head."


@dataclass(frozen=True)
class ImportReport:
    """What became of every tensor.

    Attributes:
        taken: released name -> our name or names.
        left: released tensors without a place here.
        missing: our tensors that the checkpoint does not give; they stay as initialised.
    """

    taken: dict[str, list[str]]
    left: list[str]
    missing: list[str]


@dataclass(frozen=True)
class ImportedDetector:
    """A detector made from a released checkpoint, in evaluation mode, and the report."""

    model: ArsDetr
    report: ImportReport


def import_released(state: Mapping[str, Tensor]) -> ImportedDetector:
    """Detector with the architecture that the tensors' shapes tell and their values.

    The released objectness of a token is the logit of class 0 in the encoder's class head; that row becomes our
    objectness head, the other rows have no use.

    Args:
        state: released state dictionary.

    Raises:
        UserError: these are no tensors of ARS-DETR or MutDet with a ResNet, or a shape does not fit.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    settings, classes = _architecture(state)
    model = ArsDetr(settings, classes)
    own = model.state_dict()
    taken: dict[str, list[str]] = {}
    for name, value in state.items():
        for target, part in _places(name, value, settings):
            if target not in own or own[target].shape != part.shape:
                raise UserError(f"shape {list(part.shape)} does not fit {target!r}", record=name, remedy="import a checkpoint of ARS-DETR or MutDet")
            own[target] = part
            taken.setdefault(name, []).append(target)
    model.load_state_dict(own)
    given = {target for targets in taken.values() for target in targets}
    return ImportedDetector(model.eval(), ImportReport(taken, [n for n in state if n not in taken], [n for n in own if n not in given]))


def _architecture(state: Mapping[str, Tensor]) -> tuple[DetectorSettings, int]:
    """Settings and number of classes that the shapes imply.

    Raises:
        UserError: a tensor that tells them is missing.
    """
    try:
        queries, width = state["bbox_head.transformer.query_embed.weight"].shape
        hidden = state["bbox_head.transformer.encoder.layers.0.ffns.0.layers.0.0.weight"].shape[0]
        weights = state["bbox_head.transformer.encoder.layers.0.attentions.0.attention_weights.weight"].shape[0]
        bins = state["bbox_head.angle_branches.0.weight"].shape[0]
        classes = state["bbox_head.cls_branches.0.weight"].shape[0]
    except KeyError as error:
        raise UserError(f"lacks the tensor {error}", remedy="import a checkpoint of ARS-DETR or MutDet") from error
    levels = _count(state, r"neck\.convs\.(\d+)\.") + _count(state, r"neck\.extra_convs\.(\d+)\.")
    settings = DetectorSettings(
        backbone=_backbone(state),
        levels=levels,
        width=width,
        heads=HEADS,
        points=weights // (HEADS * levels),
        feed_forward=hidden,
        encoder_layers=_count(state, r"bbox_head\.transformer\.encoder\.layers\.(\d+)\."),
        decoder_layers=_count(state, r"bbox_head\.transformer\.decoder\.layers\.(\d+)\."),
        queries=queries,
        angle_bins=bins,
    )
    return settings, classes


def _backbone(state: Mapping[str, Tensor]) -> Backbone:
    blocks = _count(state, r"backbone\.layer3\.(\d+)\.")
    bottleneck = "backbone.layer1.0.conv3.weight" in state
    known: dict[tuple[int, bool], Backbone] = {(2, False): "resnet18", (6, True): "resnet50", (23, True): "resnet101"}
    if (blocks, bottleneck) not in known:
        raise UserError("has a backbone that is no ResNet-18, -50 or -101", remedy="import a checkpoint with one of these backbones")
    return known[blocks, bottleneck]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for name in state if (match := re.match(pattern, name))})


def _places(name: str, value: Tensor, settings: DetectorSettings) -> list[tuple[str, Tensor]]:
    """Our names for a released tensor and what each gets of it; empty if it has no place here."""
    if name.startswith("backbone."):
        return [(name, value)]
    if match := re.fullmatch(r"neck\.(convs|extra_convs)\.(\d+)\.(conv|gn)\.(weight|bias)", name):
        kind, index, part, field = match.groups()
        return [(f"neck.{'lateral' if kind == 'convs' else 'extra'}.{index}.{'0' if part == 'conv' else '1'}.{field}", value)]
    if name == "bbox_head.transformer.level_embeds":
        return [("level_embedding", value[: settings.levels])]
    return _transformer_places(name.removeprefix(_PREFIX), value) or _head_places(name.removeprefix(_PREFIX), value, settings.decoder_layers)


def _transformer_places(name: str, value: Tensor) -> list[tuple[str, Tensor]]:
    if match := re.fullmatch(r"transformer\.(encoder|decoder)\.layers\.(\d+)\.(.+)", name):
        stack, index, rest = match.groups()
        return [(f"{stack}.layers.{index}.{place}", part) for place, part in _layer_places(stack, rest, value)]
    renamed = {
        "transformer.decoder.norm": "decoder.norm",
        "transformer.decoder.ref_point_head.0": "decoder.position.0",
        "transformer.decoder.ref_point_head.2": "decoder.position.2",
        "transformer.enc_output": "token_projection.linear",
        "transformer.enc_output_norm": "token_projection.norm",
    }
    module, _, field = name.rpartition(".")
    if module in renamed:
        return [(f"{renamed[module]}.{field}", value)]
    return {"transformer.query_embed.weight": [("query_content", value)], "label_embedding.weight": [("denoising_labels.weight", value)]}.get(name, [])


def _layer_places(stack: str, rest: str, value: Tensor) -> list[tuple[str, Tensor]]:
    if match := re.fullmatch(r"attentions\.0\.attn\.in_proj_(weight|bias)", rest):
        return [(f"self_attention.{part}.{match[1]}", piece) for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True)]
    if match := re.fullmatch(r"attentions\.0\.attn\.out_proj\.(weight|bias)", rest):
        return [(f"self_attention.output.{match[1]}", value)]
    if match := re.fullmatch(r"attentions\.\d\.(\w+)\.(weight|bias)", rest):
        return [(f"{'attention' if stack == 'encoder' else 'cross_attention'}.{_ATTENTION[match[1]]}.{match[2]}", value)]
    if match := re.fullmatch(r"ffns\.0\.(layers\.0\.0|layers\.1)\.(weight|bias)", rest):
        return [(f"feed_forward.{_FEED_FORWARD[match[1]]}.{match[2]}", value)]
    if match := re.fullmatch(r"norms\.(\d)\.(weight|bias)", rest):
        return [(f"{(_ENCODER_NORMS if stack == 'encoder' else _DECODER_NORMS)[int(match[1])]}.{match[2]}", value)]
    return []


def _head_places(name: str, value: Tensor, decoder_layers: int) -> list[tuple[str, Tensor]]:
    """Heads of decoder layers, and those of the encoder, which are stored behind them."""
    match = re.fullmatch(r"(cls|reg|angle)_branches\.(\d+)(?:\.(\d))?\.(weight|bias)", name)
    if match is None:
        return []
    kind, index, layer, field = match[1], int(match[2]), match[3], match[4]
    head = "encoder_head" if index == decoder_layers else f"heads.{index}"
    if kind == "cls" and index == decoder_layers:
        return [(f"{head}.objectness.{field}", value[:1])]
    place = {"cls": "classes", "reg": f"box.{layer}", "angle": "angle"}[kind]
    return [(f"{head}.{place}.{field}", value)]
