"""The released models' own numbers, on weights that follow from the tensors' names."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from released_model import enhancement_shapes, made_state, released_shapes
from torch import Tensor

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.importing import ImportedDetector, import_released
from mutdet.detectors.selection import select_pairs
from mutdet.nn.mutual_enhancement import MutualEnhancement

CHECKS = Path(__file__).parents[2].parent / "shared" / "checks"
needs_checks = pytest.mark.skipif(not CHECKS.is_dir(), reason="the shared checks are not beside this clone")
NOT_USED = ("pos_trans", "decoder.angle_head")
Outputs = dict[str, Tensor]


@pytest.fixture(scope="module")
def imported() -> ImportedDetector:
    return import_released(made_state(released_shapes()))


@pytest.fixture(scope="module")
def outputs(imported: ImportedDetector) -> Outputs:
    model = imported.model
    image = torch.from_numpy(np.random.default_rng(5).standard_normal((1, 3, 256, 256)).astype(np.float32))
    with torch.no_grad():
        features = model.neck(model.backbone(image))
        encoded, proposals, decoded = model(image)
    boxes, scores, labels = select_pairs(decoded.matching, encoded.sizes, 300, model.coding)
    last = decoded.matching
    return {
        "feature_std": torch.stack([level.std() for level in features]),
        "feature0": features[0][0, :4],
        "enc_cls": proposals.objectness[0][:, None],
        "enc_box": proposals.boxes[0],
        "cls_first": last.logits[0, 0],
        "box_first": last.boxes[0, 0],
        "cls_last": last.logits[-1, 0],
        "box_last": last.boxes[-1, 0],
        "angle_logits_last": last.angle_logits[-1, 0],
        "detections": torch.cat([boxes[0], scores[0][:, None]], dim=1),
        "labels": labels[0],
    }


def close(ours: Tensor, released: np.ndarray | list[float], scale: float = 1.0, tolerance: float = 2e-5) -> None:
    """By default to rounding: float32 through a hundred layers, and the six digits of figures that are copied."""
    np.testing.assert_allclose(ours.numpy().ravel(), np.ravel(released), rtol=0, atol=tolerance * scale)


def test_every_used_tensor_is_taken(imported: ImportedDetector) -> None:
    assert imported.report.missing == []
    assert all(any(part in name for part in NOT_USED) for name in imported.report.left)
    assert len(imported.report.taken) == 649 - 8


def test_copied_figures(outputs: Outputs) -> None:
    close(outputs["feature_std"], [1.01225, 0.998564, 0.99963, 0.998096])
    close(outputs["feature0"][[0, 1, 3], [0, 16, 31], [5, 20, 31]], [0.0608491, 1.85751, 1.2088])
    close(outputs["enc_cls"][[0, 700, 1359]], [0.233001, 0.826144, -0.235015])
    close(outputs["enc_box"][[0, 1359]], [0.00758268, 0.0144797, 0.0300019, 0.0836405, 0.863087, 0.872643, 0.328144, 0.47158])
    close(outputs["cls_first"][[0, 150], :3], [-0.727832, 1.00223, 0.377711, -0.543869, -0.31041, -0.855032])
    close(outputs["box_first"][[0, 150]], [0.010942, 0.979425, 0.0951797, 0.0908036, 0.0922427, 0.520197, 0.0896956, 0.0354904])
    close(outputs["cls_last"][[0, 150], :3], [0.293885, 0.15059, 0.789365, 0.976596, -0.360353, 0.374238])
    close(outputs["box_last"][[0, 150]], [0.00126774, 0.996748, 0.287955, 0.223449, 0.0220766, 0.873968, 0.328951, 0.0959662])
    close(outputs["angle_logits_last"].abs().mean(), [0.784755])
    first, second = [0.0984159, 255.162, 66.4746, 35.4477, 0.0959931], [0.32454, 255.168, 73.7165, 57.2029, 0.0959931]
    close(outputs["detections"][:2, :5], [*first, *second], scale=255)
    close(outputs["detections"][[0, 1, 299], 5], [0.823978, 0.81831, 0.722664])
    assert outputs["labels"][[0, 1]].tolist() == [3, 3]


@needs_checks
def test_all_released_outputs(outputs: Outputs) -> None:
    expected = np.load(CHECKS / "ars_detr" / "expected.npz")
    assert set(expected) == set(outputs)
    for name in set(expected) - {"labels"}:
        released = expected[name].astype(np.float32)
        half = expected[name].dtype == np.float16  # 11 bits, so 5e-4 at most
        close(outputs[name], released, float(np.abs(released).max()), 5e-4 if half else 1e-5)
    np.testing.assert_array_equal(outputs["labels"].numpy(), expected["labels"])


@needs_checks
@pytest.mark.parametrize(("folder", "shapes"), [("ars_detr", released_shapes), ("mutual_enhancement", enhancement_shapes)])
def test_shapes_are_those_of_the_released_models(folder, shapes) -> None:
    listed = json.loads((CHECKS / folder / "state_dict_shapes.json").read_text())
    assert {name: tuple(shape) for name, shape in listed.items()} == shapes()


def test_class_zero_of_the_encoder_becomes_objectness(imported: ImportedDetector) -> None:
    model: ArsDetr = imported.model
    released = made_state({"bbox_head.cls_branches.6.weight": (15, 256)})["bbox_head.cls_branches.6.weight"]
    torch.testing.assert_close(model.encoder_head.objectness.weight, torch.nn.Parameter(released[:1]))


ENHANCEMENT_NAMES = {
    "self_attn": "self_attention",
    "cross_attn_token_to_image": "objects_to_features",
    "cross_attn_image_to_token": "features_to_objects",
    "norm1": "self_attention_norm",
    "norm2": "objects_to_features_norm",
    "norm3": "feed_forward_norm",
    "norm4": "features_to_objects_norm",
    "mlp": "feed_forward",
    "lin1": "expand",
    "lin2": "contract",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "output",
}


@pytest.fixture(scope="module")
def enhanced() -> tuple[Tensor, Tensor]:
    prefix = "bbox_head.transformer.feature_enhance."
    state = {".".join(ENHANCEMENT_NAMES.get(p, p) for p in n.removeprefix(prefix).split(".")): v for n, v in made_state(enhancement_shapes()).items()}
    module = MutualEnhancement()
    module.load_state_dict(state)
    random = np.random.default_rng(11)
    features = random.standard_normal((1, 400, 256)).astype(np.float32)
    objects = random.standard_normal((1, 20, 256)).astype(np.float32)
    objects /= np.linalg.norm(objects, axis=-1, keepdims=True)
    with torch.no_grad():
        return module(torch.from_numpy(features), torch.from_numpy(objects))


def test_copied_figures_of_mutual_enhancement(enhanced: tuple[Tensor, Tensor]) -> None:
    features, objects = enhanced
    np.testing.assert_allclose(objects[0, 0, :4], [0.189577, 0.320561, -0.723821, 1.44643], rtol=0, atol=1e-4)
    np.testing.assert_allclose(features[0, [0, 200, 399], [0, 100, 255]], [0.458608, 1.0983, 0.695385], rtol=0, atol=1e-4)


@needs_checks
def test_all_outputs_of_mutual_enhancement(enhanced: tuple[Tensor, Tensor]) -> None:
    expected = np.load(CHECKS / "mutual_enhancement" / "expected.npz")
    for ours, name in zip(enhanced, ("features", "objects"), strict=True):
        np.testing.assert_allclose(ours[0].numpy(), expected[name], rtol=0, atol=1e-4)
