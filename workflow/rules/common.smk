# What every rule uses. Which files and settings a rule has is decided, and tested, in mutdet/settings/layout.py.

import re

ROOT = str(LAYOUT.root)
LOGS = f"{ROOT}/logs"
BENCHMARKS = f"{ROOT}/benchmarks"
CONFIG = LAYOUT.config
ENVIRONMENT = "../../envs/mutdet.yaml"


wildcard_constraints:
    variant=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    dataset=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    split=r"unlabelled|train|val|test",
    shard=r"\d+-of-\d+",


def settings_of(stage):
    """Settings of the rule's variant as JSON, a rerun trigger."""
    return lambda wildcards: LAYOUT.settings_json(stage, wildcards.variant)


def code_of(stage):
    """Fingerprint of the code that the rule's variant runs, a rerun trigger."""
    return lambda wildcards: LAYOUT.code(stage, wildcards.variant)


def weights_of(stage):
    """Weights files that the rule's variant loads."""
    return lambda wildcards: LAYOUT.weights(stage, wildcards.variant)


def gpus_of(stage):
    """GPUs that the rule's variant may use: counted against `--resources gpu=N` on one machine, asked for on a cluster."""
    return lambda wildcards: LAYOUT.gpus(stage, wildcards.variant)


def on_nodes(stage, several):
    """Pattern that fits the variants whose training is spread over several machines, or all others."""
    variants = getattr(CONFIG, stage)
    return one_of(
        [name for name in variants if (LAYOUT.nodes(stage, name) > 1) == several]
    )


def nodes_of(stage):
    """Machines over which the variant's training is spread."""
    return lambda wildcards: LAYOUT.nodes(stage, wildcards.variant)


def one_of(variants):
    """Pattern that fits these variants' names alone."""
    return "|".join(map(re.escape, variants)) or "(?!)"
