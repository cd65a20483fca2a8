"""Settings of the mask generators, one module each; the code beside them lies in `mutdet.proposals`."""
