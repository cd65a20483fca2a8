# scenes and partition: images and labels become tables of tiles.

for _variant in CONFIG.scenes:

    rule:
        name:
            f"scenes_{_variant}"
        output:
            **LAYOUT.scene_files(_variant),
        log:
            f"{LOGS}/scenes/{_variant}.log",
        benchmark:
            f"{BENCHMARKS}/scenes/{_variant}.tsv"
        conda:
            ENVIRONMENT
        params:
            settings=LAYOUT.settings_json("scenes", _variant),
            code=LAYOUT.code("scenes", _variant),
            folder=lambda wildcards, output: Path(output.splits[0]).parent,
        shell:
            "mutdet scenes --output {params.folder:q} --settings {params.settings:q} > {log:q} 2>&1"


rule partition_tiles:
    input:
        images=lambda wildcards: LAYOUT.source_files(
            wildcards.variant, wildcards.split, wildcards.shard
        )["images"],
        labels=lambda wildcards: LAYOUT.source_files(
            wildcards.variant, wildcards.split, wildcards.shard
        )["labels"],
    output:
        f"{ROOT}/partition/{{variant}}/{{split}}/{{shard}}.parquet",
    log:
        f"{LOGS}/partition/{{variant}}/{{split}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/partition/{{variant}}_{{split}}_{{shard}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: LAYOUT.settings_json(
            "partition tiles", wildcards.variant, wildcards.split
        ),
        code=lambda wildcards: LAYOUT.code(
            "partition tiles", wildcards.variant, wildcards.split
        ),
        labelled=lambda wildcards: LAYOUT.labelled(wildcards.variant, wildcards.split),
        shard=lambda wildcards: LAYOUT.shards.index(wildcards.shard),
        shards=CONFIG.shards,
    shell:
        "mutdet partition tiles --name {wildcards.variant:q} --split {wildcards.split} --shard {params.shard} --shards {params.shards}"
        " --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


# First of all jobs, because it tells where labels are missing.
rule partition_index:
    input:
        images=lambda wildcards: LAYOUT.all_source_files(wildcards.variant)["images"],
        labels=lambda wildcards: LAYOUT.all_source_files(wildcards.variant)["labels"],
        splits=lambda wildcards: LAYOUT.split_files(wildcards.variant),
    output:
        images=f"{ROOT}/partition/{{variant}}/images.parquet",
        labels=f"{ROOT}/partition/{{variant}}/labels.parquet",
    log:
        f"{LOGS}/partition/{{variant}}/index.log",
    benchmark:
        f"{BENCHMARKS}/partition/{{variant}}_index.tsv"
    priority: 1
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("partition index"),
        code=code_of("partition index"),
    shell:
        "mutdet partition index --name {wildcards.variant:q} --image-table {output.images:q} --label-table {output.labels:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
