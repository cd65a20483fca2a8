"""Names, shapes and made-up values of the released ARS-DETR's tensors, as ../shared/checks/ars_detr/README.md says."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torchvision
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def made_tensor(name: str, shape: Sequence[int]) -> Tensor:
    """Value that follows from the name alone."""
    x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    if name.endswith("running_var"):
        x = 1 + np.float32(0.1) * np.abs(x)
    elif name.endswith("running_mean"):
        x = np.float32(0.05) * x
    elif x.ndim >= 2:
        x = x / np.float32(np.sqrt(np.prod(shape[1:])))
    elif name.endswith("weight"):
        x = 1 + np.float32(0.05) * x
    else:
        x = np.float32(0.02) * x
    return torch.from_numpy(np.asarray(x, np.float32))


def made_state(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    return {name: made_tensor(name, shape) for name, shape in shapes.items()}


def released_shapes(backbone: str = "resnet50", layers: int = 6, classes: int = 15, queries: int = 300, hidden: int = 1024) -> Shapes:
    """Tensors of a released checkpoint; the defaults are the 649 of `dn_arw_arm_arcsl_rdetr_r50_dota`."""
    resnet = torchvision.models.get_model(backbone, weights=None)
    shapes: Shapes = {f"backbone.{name}": tuple(value.shape) for name, value in resnet.state_dict().items() if not name.startswith("fc.")}
    last = resnet.fc.in_features
    for index, channels in enumerate((last // 4, last // 2, last)):
        shapes |= _norm(f"neck.convs.{index}.gn", 256) | {f"neck.convs.{index}.conv.weight": (256, channels, 1, 1)}
    shapes |= _norm("neck.extra_convs.0.gn", 256) | {"neck.extra_convs.0.conv.weight": (256, last, 3, 3)}
    head, transformer = "bbox_head", "bbox_head.transformer"
    shapes |= {f"{transformer}.level_embeds": (5, 256), f"{transformer}.query_embed.weight": (queries, 256), f"{head}.label_embedding.weight": (classes, 256)}
    for layer in range(layers):
        shapes |= _layer(f"{transformer}.encoder.layers.{layer}", 0, hidden) | _layer(f"{transformer}.decoder.layers.{layer}", 1, hidden)
    for name, inputs in (("ref_point_head", 512), ("angle_head", 256)):
        shapes |= _linear(f"{transformer}.decoder.{name}.0", 256, inputs) | _linear(f"{transformer}.decoder.{name}.2", 256, 256)
    shapes |= _norm(f"{transformer}.decoder.norm", 256) | _linear(f"{transformer}.enc_output", 256, 256) | _norm(f"{transformer}.enc_output_norm", 256)
    shapes |= _linear(f"{transformer}.pos_trans", 512, 512) | _norm(f"{transformer}.pos_trans_norm", 512)
    for index in range(layers + 1):
        shapes |= _linear(f"{head}.cls_branches.{index}", classes, 256) | _linear(f"{head}.angle_branches.{index}", 180, 256)
        for part, outputs in ((0, 256), (2, 256), (4, 4)):
            shapes |= _linear(f"{head}.reg_branches.{index}.{part}", outputs, 256)
    return shapes


def _linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _layer(name: str, dense: int, hidden: int) -> Shapes:
    """Layer with `dense` self-attentions before the deformable one."""
    shapes: Shapes = {}
    if dense:
        attention = f"{name}.attentions.0.attn"
        shapes |= {f"{attention}.in_proj_weight": (768, 256), f"{attention}.in_proj_bias": (768,)} | _linear(f"{attention}.out_proj", 256, 256)
    for part, outputs in (("sampling_offsets", 256), ("attention_weights", 128), ("value_proj", 256), ("output_proj", 256)):
        shapes |= _linear(f"{name}.attentions.{dense}.{part}", outputs, 256)
    shapes |= _linear(f"{name}.ffns.0.layers.0.0", hidden, 256) | _linear(f"{name}.ffns.0.layers.1", 256, hidden)
    for index in range(2 + dense):
        shapes |= _norm(f"{name}.norms.{index}", 256)
    return shapes


def enhancement_shapes(layers: int = 3) -> Shapes:
    """Tensors of the released Mutual Enhancement Module."""
    shapes: Shapes = {}
    for layer in range(layers):
        name = f"bbox_head.transformer.feature_enhance.layers.{layer}"
        for attention in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"):
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes |= _linear(f"{name}.{attention}.{part}", 256, 256)
        for index in range(1, 5):
            shapes |= _norm(f"{name}.norm{index}", 256)
        shapes |= _linear(f"{name}.mlp.lin1", 2048, 256) | _linear(f"{name}.mlp.lin2", 256, 2048)
    return shapes
