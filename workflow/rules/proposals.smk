# masks and boxes: what might be an object.


rule masks:
    input:
        tiles=f"{ROOT}/partition/{{dataset}}/unlabelled/{{shard}}.parquet",
        weights=weights_of("masks"),
    output:
        f"{ROOT}/masks/{{variant}}/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/masks/{{variant}}/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/masks/{{variant}}_{{dataset}}_{{shard}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=gpus_of("masks"),
        mem_mb=4000,
    params:
        settings=settings_of("masks"),
        code=code_of("masks"),
    shell:
        "mutdet masks --tiles {input.tiles:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


rule boxes:
    input:
        masks=lambda wildcards: f"{ROOT}/masks/{CONFIG.boxes[wildcards.variant].masks}/{wildcards.dataset}/{wildcards.shard}.parquet",
    output:
        f"{ROOT}/boxes/{{variant}}/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/boxes/{{variant}}/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/boxes/{{variant}}_{{dataset}}_{{shard}}.tsv"
    wildcard_constraints:
        variant=one_of(LAYOUT.boxes(masks_kept=True)),
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("boxes"),
        code=code_of("boxes"),
    shell:
        "mutdet boxes --masks {input.masks:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


rule masks_and_boxes:
    input:
        tiles=f"{ROOT}/partition/{{dataset}}/unlabelled/{{shard}}.parquet",
        weights=weights_of("masks_and_boxes"),
    output:
        f"{ROOT}/boxes/{{variant}}/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/masks_and_boxes/{{variant}}/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/masks_and_boxes/{{variant}}_{{dataset}}_{{shard}}.tsv"
    wildcard_constraints:
        variant=one_of(LAYOUT.boxes(masks_kept=False)),
    conda:
        ENVIRONMENT
    resources:
        gpu=gpus_of("masks_and_boxes"),
        mem_mb=4000,
    params:
        settings=settings_of("masks_and_boxes"),
        code=code_of("masks_and_boxes"),
    shell:
        "mutdet masks_and_boxes --tiles {input.tiles:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"
