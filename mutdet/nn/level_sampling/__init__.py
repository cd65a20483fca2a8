"""Weighted bilinear samples from a feature pyramid, the inner loop of deformable attention: in plain PyTorch, compiled for the CPU, and in Triton."""
