# detect, evaluate, tables, report. A fine-tuning's name is the variant of all that follows from it.


rule detect_tiles:
    input:
        tiles=lambda wildcards: LAYOUT.detect_tiles(wildcards.variant, wildcards.shard),
        detector=f"{ROOT}/finetune/{{variant}}/detector.safetensors",
    output:
        f"{ROOT}/detect/{{variant}}/{{shard}}.parquet",
    log:
        f"{LOGS}/detect/{{variant}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/detect/{{variant}}_{{shard}}.tsv"
    wildcard_constraints:
        shard=rf"\d+-of-\d+|{PICTURES}",
    conda:
        ENVIRONMENT
    resources:
        gpu=gpus_of("detect tiles"),
        mem_mb=4000,
    params:
        settings=settings_of("detect tiles"),
        code=code_of("detect tiles"),
    shell:
        "mutdet detect tiles --tiles {input.tiles:q} --detector {input.detector:q} --output {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule detect_merge:
    input:
        tiles=lambda wildcards: [
            f"{ROOT}/detect/{wildcards.variant}/{shard}.parquet"
            for shard in LAYOUT.shards
        ],
    output:
        f"{ROOT}/detect/{{variant}}/detections.parquet",
    log:
        f"{LOGS}/detect/{{variant}}/merge.log",
    benchmark:
        f"{BENCHMARKS}/detect/{{variant}}_merge.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("detect merge"),
        code=code_of("detect merge"),
    shell:
        "mutdet detect merge --tiles {input.tiles:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


rule evaluate:
    input:
        detections=f"{ROOT}/detect/{{variant}}/detections.parquet",
        images=lambda wildcards: f"{ROOT}/partition/{CONFIG.finetune[wildcards.variant].dataset}/images.parquet",
        labels=lambda wildcards: f"{ROOT}/partition/{CONFIG.finetune[wildcards.variant].dataset}/labels.parquet",
    output:
        evaluation=f"{ROOT}/evaluate/{{variant}}/evaluation.parquet",
        curves=f"{ROOT}/evaluate/{{variant}}/curves/curves.parquet",
        submission=directory(f"{ROOT}/evaluate/{{variant}}/Task1"),
    log:
        f"{LOGS}/evaluate/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{{variant}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("evaluate"),
        code=code_of("evaluate"),
    shell:
        "mutdet evaluate --detections {input.detections:q} --images {input.images:q} --labels {input.labels:q} --output {output.evaluation:q}"
        " --curves {output.curves:q} --submission {output.submission:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tables_fill:
    input:
        evaluations=lambda wildcards: [
            f"{ROOT}/evaluate/{name}/evaluation.parquet"
            for name in CONFIG.tables[wildcards.variant].experiments or CONFIG.finetune
        ],
    output:
        table=f"{ROOT}/tables/{{variant}}.parquet",
        csv=f"{ROOT}/tables/{{variant}}.csv",
        latex=f"{ROOT}/tables/{{variant}}.tex",
    log:
        f"{LOGS}/tables/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/tables/{{variant}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("tables"),
        code=code_of("tables"),
    shell:
        "mutdet tables --evaluations {input.evaluations:q} --output {output.table:q} --settings {params.settings:q} > {log:q} 2>&1"


rule report_tiles:
    input:
        unpack(lambda wildcards: LAYOUT.report_tiles_inputs(wildcards.variant)),
    output:
        f"{ROOT}/report/tiles/{{variant}}.parquet",
    log:
        f"{LOGS}/report/tiles_{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/report/tiles_{{variant}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("report tiles"),
        code=code_of("report tiles"),
        tables=lambda wildcards, input: f"--train {input.get('train', '')} --boxes {input.get('boxes', '')}",
    shell:
        "mutdet report tiles --unlabelled {input.unlabelled:q} {params.tables} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"


rule report_page:
    input:
        LAYOUT.stage_outputs(),
        LAYOUT.pictures(),
    output:
        LAYOUT.report(),
    log:
        f"{LOGS}/report/page.log",
    benchmark:
        f"{BENCHMARKS}/report/page.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=LAYOUT.settings_json("report page", ""),
        code=LAYOUT.code("report page", ""),
        run=lambda wildcards, output: Path(output[0]).parents[1],
    shell:
        "mutdet report page --run {params.run:q} --output {output:q} --settings {params.settings:q} > {log:q} 2>&1"
