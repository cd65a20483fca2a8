"""Samples, losses and the training command of the small SAM."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mutdet.proposals import small_sam_loss as loss
from mutdet.proposals.decoders import Decoded
from mutdet.proposals.prompts import peaks
from mutdet.proposals.small_sam import build_small_sam
from mutdet.proposals.training_scenes import Sample, TrainingScenes, augmented, centre_map
from mutdet.settings.base import Runtime
from mutdet.settings.scenes import HELD_OUT_FAMILIES
from mutdet.settings.small_sam import RecallSettings
from mutdet.settings.train_small_sam import TrainSmallSamFiles, TrainSmallSamSettings
from mutdet.stages import train_small_sam

SHORT = TrainSmallSamSettings(encoder_steps=1, encoder_images=2, steps=2, warmup_steps=1, images=1, object_points=3, background_points=2, log_every=1)


@pytest.fixture(scope="module")
def samples():
    dataset = TrainingScenes(TrainSmallSamSettings(object_points=6, background_points=4))
    return [sample for sample in (dataset[index] for index in range(8)) if len(sample.masks)]


def test_training_scenes_are_not_the_held_out_ones():
    assert not set(TrainSmallSamSettings().families) & set(RecallSettings().families)
    assert set(RecallSettings().families) == set(HELD_OUT_FAMILIES)


def test_samples_follow_from_their_number():
    dataset = TrainingScenes(SHORT)
    first, _, again = dataset[1], dataset[0], dataset[1]
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.points, again.points)


def test_points_lie_on_their_objects_and_background_points_on_none(samples):
    for sample in samples:
        objects = len(sample.masks)
        columns, rows = (sample.points.long() // 2).T
        for number in range(objects):
            assert sample.masks[number, rows[number], columns[number]] > 0
        assert (sample.dense[0, rows[objects:], columns[objects:]] < 1).all()
        assert (sample.masks.sum(0).clamp(max=1) <= sample.dense[0] + 1e-6).all() or objects > len(torch.unique(sample.masks, dim=0))


def test_way_leads_to_the_centre_of_the_object(samples):
    sample = samples[0]
    number = int(sample.masks.flatten(1).sum(1).argmax())
    inside = sample.masks[number] == 1
    rows, columns = torch.nonzero(inside, as_tuple=True)
    centres = torch.stack([2 * columns + 1, 2 * rows + 1], dim=1) + 16 * sample.dense[1:, rows, columns].T
    assert (centres.std(dim=0) < 0.01).all()


def test_centre_map_is_a_rotated_bell():
    polygon = np.array([[[40.0, 60], [100, 60], [100, 80], [40, 80]]])
    found = centre_map(polygon, 128)
    assert found.shape == (32, 32)
    assert found[17, 17] == found.max() == 1
    assert found[17, 20] > found[20, 17]
    assert centre_map(np.zeros((0, 4, 2)), 128).max() == 0


def test_peaks_come_back_from_the_centre_map():
    corners = np.array([[0, 0], [20, 0], [20, 8], [0, 8]], float)
    polygons = np.stack([corners + offset for offset in ([10, 20], [60, 80], [90, 30])])
    logits = torch.logit(torch.from_numpy(centre_map(polygons, 128)).clamp(1e-4, 1 - 1e-4))
    found = peaks(logits, (128, 128), 10, 0.5)
    expected = polygons.mean(axis=1)
    assert len(found) == 3
    assert all(np.abs(found - point).max(axis=1).min() <= 2.5 for point in expected)
    assert len(peaks(logits, (128, 128), 2, 0.5)) == 2
    assert len(peaks(logits, (64, 128), 10, 0.5)) == 2


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_augmentation_takes_colours_away_in_the_share_that_is_set(share):
    """Half an image is red, half blue: red minus green varies by at least 36 levels; without colours by noise alone, of at most 7."""
    image = np.repeat(np.array([[[180, 90, 60], [60, 90, 180]]], np.uint8), 8, axis=1).repeat(16, axis=0)
    rng = np.random.default_rng(0)
    made = [augmented(image, share, rng) for _ in range(200)]
    assert {(one.shape, one.dtype) for one in made} == {(image.shape, image.dtype)}
    grey = [np.std(one[..., 0].astype(float) - one[..., 1]) < 20 for one in made]
    assert np.mean(grey) == pytest.approx(share, abs=0.1)  # standard deviation 0.035 at one half


def test_losses_of_perfect_and_wrong_masks():
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5, 3:7] = 1
    logits = torch.cat([20 * (2 * target - 1), -20 * (2 * target - 1), torch.zeros_like(target)], dim=1)
    assert loss.mask_iou(logits, target)[0, :2].tolist() == [1, 0]
    dice = loss.dice_loss(logits, target)[0]
    assert dice[0] < 1e-3
    assert dice[2] == pytest.approx(1 - (2 * 6 + 1) / (32 + 12 + 1))
    focal = loss.focal_loss(logits, target)[0]
    assert focal[0] < 1e-6
    assert focal[2] == pytest.approx(0.25 * np.log(2) * (0.25 * 12 + 0.75 * 52) / 64, rel=1e-5)
    assert focal[1] > 5


class _Decoder:
    """Gives masks [O, 3, H, W] whatever the image."""

    def __init__(self, logits):
        self.logits = logits

    def decode(self, embedding, points):
        empty = torch.zeros(len(points), 3)
        return Decoded(empty, empty, empty)

    def masks(self, decoded, prompts, kinds):
        return self.logits[prompts, kinds]


def test_best_of_three_masks_is_trained():
    target = torch.zeros(2, 1, 8, 8)
    target[0, :, 2:5, 3:7] = target[1, :, 4:, :2] = 1
    best = [1, 2]
    logits = (1 - 2 * target).repeat(1, 3, 1, 1)
    logits[range(2), best] *= -2
    logits.requires_grad_()
    sample = Sample(torch.zeros(3, 16, 16), torch.zeros(3, 2), target[:, 0], torch.zeros(4, 4), torch.zeros(3, 8, 8))
    parts = loss._sample_losses(_Decoder(logits), torch.zeros(1, 1), sample, SHORT)
    chosen = logits.detach()[range(2), best][:, None], target
    assert float(parts["dice"].detach()) == pytest.approx(float(SHORT.dice_weight * loss.dice_loss(*chosen).mean()))
    assert float(parts["focal"].detach()) == pytest.approx(float(SHORT.focal_weight * loss.focal_loss(*chosen).mean()))
    (parts["dice"] + parts["focal"]).backward()
    assert torch.nonzero(logits.grad.flatten(2).any(2)).tolist() == [[0, 1], [1, 2]]


def test_peak_loss_against_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 5, 5, generator=generator)
    target[0, 1, 1] = target[1, 3, 2] = target[1, 0, 0] = 1
    logits = torch.randn(2, 5, 5, generator=generator)
    total = 0.0
    for p, t in zip(torch.sigmoid(logits).flatten().tolist(), target.flatten().tolist(), strict=True):
        total -= (1 - p) ** 2 * np.log(p) if t == 1 else (1 - t) ** 4 * p**2 * np.log(1 - p)
    assert float(loss.peak_loss(logits, target)) == pytest.approx(total / 3, rel=1e-5)


def test_scene_without_objects_gives_finite_losses(samples):
    sample = samples[0]
    empty = type(sample)(sample.image, sample.points, sample.masks[:0], sample.centres * 0, sample.dense * 0)
    model = loss.SmallSamLoss(build_small_sam(), SHORT)
    parts = model.of_prompts([empty])
    sum(parts.values()).backward()
    assert all(torch.isfinite(value) for value in parts.values())
    assert parts["dice"] == 0


@pytest.mark.slow
def test_encoder_overfits_two_scenes(samples):
    torch.manual_seed(0)
    model = loss.SmallSamLoss(build_small_sam(), TrainSmallSamSettings())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    values = []
    for _ in range(60):
        parts = model.of_encoder(samples[:2])
        optimiser.zero_grad()
        sum(parts.values()).backward()
        optimiser.step()
        values.append(float(parts["dense"].detach()))
    assert values[-1] < 0.5 * values[0]


def test_stopped_training_resumes_where_it_was(tmp_path, monkeypatch):
    def files(name):
        folder = tmp_path / name
        return TrainSmallSamFiles(output=folder / "sam.safetensors", log=folder / "log.parquet", state=folder / "state")

    train_small_sam.run(files("whole"), SHORT, Runtime())
    steps, original = [], train_small_sam._Training._train_step

    def stop(training, samples):
        if len(steps) == 2:
            raise KeyboardInterrupt
        original(training, samples)
        steps.append(training._save())

    monkeypatch.setattr(train_small_sam._Training, "_train_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train_small_sam.run(files("parts"), SHORT, Runtime())
    monkeypatch.undo()
    train_small_sam.run(files("parts"), SHORT, Runtime())
    whole, parts = load_file(files("whole").output), load_file(files("parts").output)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert files("whole").log.read_bytes() == files("parts").log.read_bytes()
    assert sum(tensor.numel() for tensor in whole.values()) < 3.1e6
    assert all(tensor.dtype == torch.float16 for tensor in whole.values())
