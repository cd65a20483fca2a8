"""A training step of small detectors.

`--device cuda` measures on a graphics card. Memory is the process's peak, or the card's with CUDA.
"""

import argparse

import torch
from measuring import best, machine, measure

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.settings.detectors import DetectorSettings

SIDE = 256
BATCH, OBJECTS = 4, 20
REPEATS = 5
DETECTORS = {
    "ResNet-18, width 128, 2 + 2 layers": DetectorSettings(
        backbone="resnet18", width=128, feed_forward=512, encoder_layers=2, decoder_layers=2, queries=60, denoising_queries=40
    ),
    "ResNet-18, width 256, 3 + 3 layers": DetectorSettings(backbone="resnet18", encoder_layers=3, decoder_layers=3, queries=100, denoising_queries=40),
}


def training_step(name: str, device: str) -> tuple[float, float]:
    """Seconds of a step with frozen backbone; peak megabytes on the card."""
    torch.manual_seed(0)
    model = ArsDetr(DETECTORS[name], 256).to(device).train()
    model.train_backbone("nothing")
    images = torch.randn(BATCH, 3, SIDE, SIDE, device=device)
    scale, shift = torch.tensor([SIDE, SIDE, 60, 30, 3.0]), torch.tensor([0, 0, 10, 5, -1.5])
    targets = [Targets((torch.rand(OBJECTS, 5) * scale + shift).to(device), torch.arange(OBJECTS, device=device)) for _ in range(BATCH)]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    generators = [torch.Generator().manual_seed(image) for image in range(BATCH)]

    def call() -> None:
        encoded = model.encode(images)
        proposals = model.propose(encoded, model.project_memory(encoded))
        denoising = model.denoise(targets, encoded.sizes, generators)
        losses = model.losses(proposals, model.decode(encoded, proposals, denoising), denoising, targets, encoded.sizes)
        optimiser.zero_grad()
        torch.stack(list(losses.values.values())).sum().backward()
        optimiser.step()

    return best(call, device, REPEATS), torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    where = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    print(f"{where}{machine()}, torch {torch.__version__}; best of {REPEATS}")
    print(f"\nTraining step, frozen backbone, {BATCH} images of {SIDE} px, {OBJECTS} objects each")
    for name in DETECTORS:
        taken = measure(training_step, name, device)
        megabytes = taken.value[1] if device == "cuda" else taken.megabytes - taken.start_megabytes
        print(f"  {name}: {taken.value[0]:.3f} s  {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
