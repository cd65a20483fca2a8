"""Settings of the pre-training methods, one module each; the code beside them lies in `mutdet.pretraining`."""
