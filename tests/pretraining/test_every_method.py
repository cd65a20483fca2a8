"""What holds for every pre-training method on every detector."""

import json
from dataclasses import replace

import pytest
import torch
from drawn_tables import TINY, draw_tables
from generators import generators
from pseudo_batch import CLASSES, noise_images, pseudo_objects
from safetensors.torch import load_file

from mutdet.settings.base import Runtime
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.pretrain import PretrainFiles
from mutdet.settings.registries import DETECTORS, PRETRAINING_METHODS, load
from mutdet.stages import finetune, pretrain
from mutdet.training.supervised import SupervisedLoss
from mutdet.training.tile_dataset import Batch

SMALL = {
    "mutdet": {"enhancement_layers": 1, "enhancement_width": 32, "embedding_width": 32},
    "aligndet": {"projection": 16},
    "detreg": {},
    "updetr": {"patches": 5, "patch_size": 32},
}
TRAINED = sorted(set(PRETRAINING_METHODS) - {"none"})
TOGETHER = [*((name, "ars_detr") for name in TRAINED), ("mutdet", "deformable_detr")]
"""Pairs for the longer tests; the quick ones try every method on every detector."""
SHORT = {"iterations": 2, "batch": 2, "image_size": 96, "threads": 1, "log_every": 1}


def test_every_method_is_tested():
    assert sorted(SMALL) == TRAINED


def settings_of(name: str, kind: str, **options):
    architecture = TINY.model_copy(update={"kind": kind})
    return PRETRAINING_METHODS[name].settings_class(architecture=architecture, **{"iterations": 1, **SMALL[name], **options})


def build(name: str, kind: str, **options):
    settings = settings_of(name, kind, **options)
    method_class = load(PRETRAINING_METHODS, name)
    torch.manual_seed(0)
    detector = load(DETECTORS, kind)(settings.architecture, len(method_class.categories(CLASSES)))
    return method_class(detector, settings).train()


def losses_of(method, counts, seed: int = 2):
    images, sizes = noise_images(len(counts))
    return method.losses(images, sizes, [pseudo_objects(count, number) for number, count in enumerate(counts)], generators(len(counts), seed))


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("name", TRAINED)
def test_losses_and_gradients_are_finite_and_all_but_the_backbone_learns(name, kind):
    method = build(name, kind)
    for counts in ([0, 0], [1, 0], [3, 20]):
        method.zero_grad(set_to_none=True)
        total = sum(losses_of(method, counts).values())
        total.backward()
        assert torch.isfinite(total)
        gradients = {name: p.grad for name, p in method.named_parameters() if p.requires_grad}
        assert all(g is None or torch.isfinite(g).all() for g in gradients.values())
    frozen = {n for n, p in method.named_parameters() if not p.requires_grad}
    assert {n for n in frozen if n.startswith("detector.")} == {n for n, _ in method.named_parameters() if n.startswith("detector.backbone.")}
    shared = set(method.detector.shared_state())
    untrained = {n for n, g in gradients.items() if g is None and n.removeprefix("detector.") in shared}
    assert untrained == set()


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("name", TRAINED)
def test_bfloat16_losses_are_single_precision_and_close(name, kind):
    method = build(name, kind)
    single = losses_of(method, [3, 2])
    with torch.autocast("cpu", torch.bfloat16):
        half = losses_of(method, [3, 2])
    assert {loss.dtype for loss in half.values()} == {torch.float32}
    assert single.keys() == half.keys()
    # bfloat16 has 8 bits; a match may change sides where two cost nearly the same, hence the sum and not every term.
    assert sum(half.values()).item() == pytest.approx(sum(single.values()).item(), rel=0.05)
    sum(half.values()).backward()
    assert all(p.grad is None or (p.grad.dtype == torch.float32 and torch.isfinite(p.grad).all()) for p in method.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_random_numbers_come_from_the_generator(name):
    method = build(name, "ars_detr")
    one, same = losses_of(method, [3, 2], 2), losses_of(method, [3, 2], 2)
    assert all(torch.equal(one[term], same[term]) for term in one)


@pytest.mark.parametrize("gathers", [True, False])
@pytest.mark.parametrize(("name", "place"), [("mutdet", "contrast"), ("aligndet", "aligndet")])
def test_negatives_of_other_processes_are_gathered_only_where_asked_for(name, place, gathers, monkeypatch):
    seen = []
    monkeypatch.setattr(f"mutdet.pretraining.{place}.rows_of_all_ranks", lambda rows: seen.append(rows) or (rows, 0))
    losses_of(build(name, "ars_detr", gather_negatives=gathers), [2, 1])
    assert bool(seen) == gathers


@pytest.mark.parametrize(("name", "kind"), TOGETHER)
def test_overfits_four_tiles(name, kind):
    method = build(name, kind)
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=2e-3)
    start = None
    for step in range(25):
        losses = losses_of(method, [3, 2, 4, 1])
        total = sum(losses.values())
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 35.0)
        optimiser.step()
        method.after_step((step + 1) / 25)
        start = start or {term: value.item() for term, value in losses.items()}
    assert total.item() < 0.75 * sum(start.values())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 6)


@pytest.mark.parametrize(("name", "kind"), TOGETHER)
def test_stage_trains_and_every_shared_weight_reaches_finetuning(name, kind, drawn, tmp_path):
    settings = settings_of(name, kind, **SHORT)
    pretrained, tuned = tmp_path / "pretrained.safetensors", tmp_path / "finetuned.safetensors"
    common = {"tiles": drawn.tiles, "log": tmp_path / "log.parquet", "state": tmp_path / "state"}
    pretrain.run(PretrainFiles(pseudo_labels=drawn.pseudo_labels, backbone=drawn.backbone, output=pretrained, **common), settings, Runtime(device="cpu"))
    before, backbone = load_file(pretrained), load_file(drawn.backbone)
    assert all(torch.equal(before[f"backbone.{n}"], v.reshape(before[f"backbone.{n}"].shape)) for n, v in backbone.items() if f"backbone.{n}" in before)
    files = FinetuneFiles(images=drawn.images, labels=drawn.labels, detector=pretrained, output=tuned, **common)
    finetune.run(files, FinetuneSettings(**SHORT), Runtime(device="cpu"))
    report = json.loads(tuned.with_suffix(".json").read_text())["transfer"]
    assert (report["unused"], report["shape_mismatch"]) == ([], [])
    assert report["missing"]
    assert all(n.startswith("denoising_labels.") or ".classes." in n for n in report["missing"])
    assert set(report["loaded"]) | set(report["missing"]) == set(load_file(tuned))


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_training_pass_is_what_supervised_training_minimises(kind):
    architecture: DetectorSettings = TINY.model_copy(update={"kind": kind})
    torch.manual_seed(0)
    detector = load(DETECTORS, kind)(architecture, CLASSES)
    images, sizes = noise_images(2)
    targets = [replace(pseudo_objects(count, count), embeddings=None) for count in (3, 2)]
    values = SupervisedLoss(detector)(Batch(images, sizes, targets, ["a", "b"]), generators(2))
    encoded = detector.encode(images, sizes)
    proposals = detector.propose(encoded, detector.project_memory(encoded))
    denoising = detector.denoise(targets, sizes, generators(2))
    expected = detector.losses(proposals, detector.decode(encoded, proposals, denoising), denoising, targets, sizes).values
    assert values.keys() == expected.keys()
    assert all(torch.equal(values[name], expected[name]) for name in values)
