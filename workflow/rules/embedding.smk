# backbone, embed, codebook, pseudo_labels: what the objects look like.


rule backbone:
    input:
        tiles=lambda wildcards: LAYOUT.backbone_tiles(wildcards.variant),
        weights=weights_of("backbone"),
    output:
        f"{ROOT}/backbone/{{variant}}/backbone.safetensors",
    log:
        f"{LOGS}/backbone/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/backbone/{{variant}}.tsv"
    wildcard_constraints:
        variant=one_of(LAYOUT.backbones(trained=False)),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        settings=settings_of("backbone"),
        code=code_of("backbone"),
    shell:
        "mutdet backbone --tiles {input.tiles:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


# A backbone that is trained here has a log table too, and resumes from state/, which is undeclared so that Snakemake does not delete it.
rule backbone_train:
    input:
        tiles=lambda wildcards: LAYOUT.backbone_tiles(wildcards.variant),
        probe=lambda wildcards: LAYOUT.backbone_probe(wildcards.variant),
    output:
        backbone=f"{ROOT}/backbone/{{variant}}/backbone.safetensors",
        log=f"{ROOT}/backbone/{{variant}}/log.parquet",
    log:
        f"{LOGS}/backbone/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/backbone/{{variant}}.tsv"
    wildcard_constraints:
        variant=one_of(LAYOUT.backbones(trained=True)),
    conda:
        ENVIRONMENT
    threads: lambda wildcards: LAYOUT.threads("backbone", wildcards.variant)
    resources:
        gpu=gpus_of("backbone"),
        mem_mb=8000,
    params:
        settings=settings_of("backbone"),
        code=code_of("backbone"),
        state=lambda wildcards: LAYOUT.state("backbone", wildcards.variant),
    shell:
        "exec mutdet backbone --tiles {input.tiles:q} --probe {input.probe:q} --output {output.backbone:q} --log {output.log:q}"
        " --state {params.state:q} --settings {params.settings:q} > {log:q} 2>&1"


rule embed:
    input:
        tiles=f"{ROOT}/partition/{{dataset}}/unlabelled/{{shard}}.parquet",
        boxes=lambda wildcards: f"{ROOT}/boxes/{CONFIG.embed[wildcards.variant].boxes}/{wildcards.dataset}/{wildcards.shard}.parquet",
        backbone=lambda wildcards: f"{ROOT}/backbone/{CONFIG.embed[wildcards.variant].backbone}/backbone.safetensors",
    output:
        f"{ROOT}/embed/{{variant}}/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/embed/{{variant}}/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/embed/{{variant}}_{{dataset}}_{{shard}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=gpus_of("embed"),
        mem_mb=4000,
    params:
        settings=settings_of("embed"),
        code=code_of("embed"),
    shell:
        "mutdet embed --tiles {input.tiles:q} --boxes {input.boxes:q} --backbone {input.backbone:q}"
        " --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


rule codebook:
    input:
        embeddings=lambda wildcards: LAYOUT.shards_of(
            "embed",
            CONFIG.codebook[wildcards.variant].embed,
            LAYOUT.datasets("codebook", wildcards.variant),
        ),
    output:
        codebook=f"{ROOT}/codebook/{{variant}}/codebook.safetensors",
        clusters=f"{ROOT}/codebook/{{variant}}/clusters.parquet",
    log:
        f"{LOGS}/codebook/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/codebook/{{variant}}.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=4000,
    params:
        settings=settings_of("codebook"),
        code=code_of("codebook"),
    shell:
        "mutdet codebook --embeddings {input.embeddings:q} --output {output.codebook:q} --cluster-table {output.clusters:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule pseudo_labels:
    input:
        boxes=lambda wildcards: f"{ROOT}/boxes/{CONFIG.embed[CONFIG.codebook[wildcards.variant].embed].boxes}/{wildcards.dataset}/{wildcards.shard}.parquet",
        embeddings=lambda wildcards: f"{ROOT}/embed/{CONFIG.codebook[wildcards.variant].embed}/{wildcards.dataset}/{wildcards.shard}.parquet",
        codebook=f"{ROOT}/codebook/{{variant}}/codebook.safetensors",
    output:
        f"{ROOT}/pseudo_labels/{{variant}}/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/pseudo_labels/{{variant}}/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/pseudo_labels/{{variant}}_{{dataset}}_{{shard}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("pseudo_labels"),
        code=code_of("pseudo_labels"),
    shell:
        "mutdet pseudo_labels --boxes {input.boxes:q} --embeddings {input.embeddings:q} --codebook {input.codebook:q}"
        " --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"
