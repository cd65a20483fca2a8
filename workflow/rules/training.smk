# pretrain and finetune. What a stopped training resumes from lies in state/, undeclared, so that Snakemake does not delete it.
# `exec`: a scheduler's signal reaches the training itself, which then saves its state.


rule pretrain:
    input:
        unpack(lambda wildcards: LAYOUT.pretrain_inputs(wildcards.variant)),
    output:
        detector=f"{ROOT}/pretrain/{{variant}}/detector.safetensors",
        log=f"{ROOT}/pretrain/{{variant}}/log.parquet",
    log:
        f"{LOGS}/pretrain/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/pretrain/{{variant}}.tsv"
    wildcard_constraints:
        variant=on_nodes("pretrain", False),
    conda:
        ENVIRONMENT
    threads: lambda wildcards: LAYOUT.threads("pretrain", wildcards.variant)
    resources:
        gpu=gpus_of("pretrain"),
        mem_mb=8000,
    params:
        settings=settings_of("pretrain"),
        code=code_of("pretrain"),
        tables=lambda wildcards, input: f"--tiles {input.get('tiles', '')} --pseudo-labels {input.get('pseudo_labels', '')}",
        state=lambda wildcards: LAYOUT.state("pretrain", wildcards.variant),
        launcher=lambda wildcards: LAYOUT.launcher("pretrain", wildcards.variant),
    shell:
        "exec {params.launcher} pretrain {params.tables} --backbone {input.backbone:q} --output {output.detector:q} --log {output.log:q}"
        " --state {params.state:q} --settings {params.settings:q} > {log:q} 2>&1"


rule finetune:
    input:
        tiles=lambda wildcards: LAYOUT.tiles(
            CONFIG.finetune[wildcards.variant].dataset, "train"
        ),
        images=lambda wildcards: f"{ROOT}/partition/{CONFIG.finetune[wildcards.variant].dataset}/images.parquet",
        labels=lambda wildcards: f"{ROOT}/partition/{CONFIG.finetune[wildcards.variant].dataset}/labels.parquet",
        detector=lambda wildcards: f"{ROOT}/pretrain/{CONFIG.finetune[wildcards.variant].pretrain}/detector.safetensors",
    output:
        detector=f"{ROOT}/finetune/{{variant}}/detector.safetensors",
        log=f"{ROOT}/finetune/{{variant}}/log.parquet",
    log:
        f"{LOGS}/finetune/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/finetune/{{variant}}.tsv"
    wildcard_constraints:
        variant=on_nodes("finetune", False),
    conda:
        ENVIRONMENT
    threads: lambda wildcards: LAYOUT.threads("finetune", wildcards.variant)
    resources:
        gpu=gpus_of("finetune"),
        mem_mb=8000,
    params:
        settings=settings_of("finetune"),
        code=code_of("finetune"),
        state=lambda wildcards: LAYOUT.state("finetune", wildcards.variant),
        launcher=lambda wildcards: LAYOUT.launcher("finetune", wildcards.variant),
    shell:
        "exec {params.launcher} finetune --tiles {input.tiles:q} --images {input.images:q} --labels {input.labels:q} --detector {input.detector:q}"
        " --output {output.detector:q} --log {output.log:q} --state {params.state:q} --settings {params.settings:q} > {log:q} 2>&1"


# The same on several machines: `mpi` keeps Snakemake from starting the job through srun, because the training's own srun starts it on every machine.
use rule pretrain as pretrain_nodes with:
    wildcard_constraints:
        variant=on_nodes("pretrain", True),
    resources:
        gpu=gpus_of("pretrain"),
        mem_mb=8000,
        mpi="srun",
        nodes=nodes_of("pretrain"),
        tasks=nodes_of("pretrain"),
        tasks_per_gpu=0,


use rule finetune as finetune_nodes with:
    wildcard_constraints:
        variant=on_nodes("finetune", True),
    resources:
        gpu=gpus_of("finetune"),
        mem_mb=8000,
        mpi="srun",
        nodes=nodes_of("finetune"),
        tasks=nodes_of("finetune"),
        tasks_per_gpu=0,
