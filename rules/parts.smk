"""Features and matches of a large scene in parts: what sfm.smk does in two jobs, in many that can be repeated alone.

Needs  <results>/{scene}/photos.zip, photos.json
Leaves <results>/{scene}/parts/features.1.db, features.1.json, ..., chosen.json, matches.1.db, matches.1.json, ...,
       and features.db, features.json, matches.db and pairs.json as extract_features and match_photos do, row for row
"""

# What `of_parts` gives, by the names of the inputs, for whoever follows the rules back.
OF_PARTS = {
    "feature_parts": ("parts/features.{part}.db",),
    "feature_numbers": ("parts/features.{part}.json",),
    "match_parts": ("parts/matches.{part}.db",),
    "match_numbers": ("parts/matches.{part}.json",),
}


rule extract_part:
    """Find SIFT features in one part of a large scene's photos."""
    input:
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
    output:
        database="<results>/{scene}/parts/features.{part}.db",
        metrics="<results>/{scene}/parts/features.{part}.json",
    log:
        "<logs>/{scene}/extract_part.{part}.log",
    benchmark:
        "<benchmarks>/{scene}/extract_part.{part}.tsv"
    wildcard_constraints:
        scene=IN_PARTS,
        part="[1-9][0-9]*",
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 16
    resources:
        mem_mb=grow(8000),
        one_part=1,
        aws_batch_task_timeout=time_limit("extract_part"),
        device=device,
    params:
        options=options("extract_features"),
        parts=lambda wildcards: PARTS[wildcards.scene],
        code=code("extract_part"),
    shell:
        "python -m scripts.extract_part --photos {input.photos:q} --photos-report {input.report:q}"
        " --part {wildcards.part} --parts {params.parts} --options {params.options:q}"
        " --database {output.database:q} --metrics {output.metrics:q}"
        " --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule gather_features:
    """Put the features of all parts into one database."""
    input:
        report="<results>/{scene}/photos.json",
        feature_parts=of_parts("features", "db"),
        feature_numbers=of_parts("features", "json"),
    output:
        database="<results>/{scene}/features.db",
        metrics="<results>/{scene}/features.json",
    log:
        "<logs>/{scene}/gather_features.log",
    benchmark:
        "<benchmarks>/{scene}/gather_features.tsv"
    wildcard_constraints:
        scene=IN_PARTS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 1
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("gather_features"),
    params:
        options=options("extract_features"),
        code=code("gather_features"),
    shell:
        "python -m scripts.gather_features --photos-report {input.report:q} --parts {input.feature_parts:q}"
        " --numbers {input.feature_numbers:q} --options {params.options:q}"
        " --database {output.database:q} --metrics {output.metrics:q} 2>&1 | tee {log:q}"


rule plan_pairs:
    """Choose pairs of photos that may overlap, and divide them into parts."""
    input:
        database="<results>/{scene}/features.db",
        report="<results>/{scene}/photos.json",
    output:
        chosen="<results>/{scene}/parts/chosen.json",
    log:
        "<logs>/{scene}/plan_pairs.log",
    benchmark:
        "<benchmarks>/{scene}/plan_pairs.tsv"
    wildcard_constraints:
        scene=IN_PARTS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("plan_pairs"),
    params:
        options=options("match_photos"),
        parts=lambda wildcards: PARTS[wildcards.scene],
        code=code("plan_pairs"),
    shell:
        "python -m scripts.plan_pairs --database {input.database:q} --photos-report {input.report:q}"
        " --parts {params.parts} --options {params.options:q} --chosen {output.chosen:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule match_part:
    """Match the features of one part of the pairs."""
    input:
        features="<results>/{scene}/features.db",
        chosen="<results>/{scene}/parts/chosen.json",
    output:
        database="<results>/{scene}/parts/matches.{part}.db",
        metrics="<results>/{scene}/parts/matches.{part}.json",
    log:
        "<logs>/{scene}/match_part.{part}.log",
    benchmark:
        "<benchmarks>/{scene}/match_part.{part}.tsv"
    wildcard_constraints:
        scene=IN_PARTS,
        part="[1-9][0-9]*",
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(8000),
        one_part=1,
        aws_batch_task_timeout=time_limit("match_part"),
        device=device,
    params:
        options=options("match_photos"),
        code=code("match_part"),
    shell:
        "python -m scripts.match_part --features {input.features:q} --chosen {input.chosen:q}"
        " --part {wildcards.part} --options {params.options:q}"
        " --database {output.database:q} --metrics {output.metrics:q}"
        " --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule gather_matches:
    """Put the matches of all parts beside the features."""
    input:
        features="<results>/{scene}/features.db",
        report="<results>/{scene}/photos.json",
        chosen="<results>/{scene}/parts/chosen.json",
        match_parts=of_parts("matches", "db"),
        match_numbers=of_parts("matches", "json"),
    output:
        database="<results>/{scene}/matches.db",
        pairs="<results>/{scene}/pairs.json",
    log:
        "<logs>/{scene}/gather_matches.log",
    benchmark:
        "<benchmarks>/{scene}/gather_matches.tsv"
    wildcard_constraints:
        scene=IN_PARTS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 1
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("gather_matches"),
    params:
        options=options("match_photos"),
        code=code("gather_matches"),
    shell:
        "python -m scripts.gather_matches --features {input.features:q} --photos-report {input.report:q}"
        " --chosen {input.chosen:q} --parts {input.match_parts:q} --numbers {input.match_numbers:q}"
        " --options {params.options:q} --output {output.database:q} --pairs {output.pairs:q} 2>&1 | tee {log:q}"
