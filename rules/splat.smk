"""A trained splat, and how good it is on photos it never saw.

Needs  <results>/{scene}/undistorted.zip
Leaves <results>/{scene}/splat.ply, train.json, eval.json, renders.zip, splat.sog, splat.spz,
       splat.compressed.ply, codecs.json, poster.jpg, view.json
"""


rule train_splat:
    """Optimise Gaussians until the photos are reproduced; an interrupted run continues from its checkpoint."""
    input:
        scene="<results>/{scene}/undistorted.zip",
    output:
        ply="<results>/{scene}/splat.ply",
        metrics="<results>/{scene}/train.json",
    log:
        "<logs>/{scene}/train_splat.log",
    benchmark:
        "<benchmarks>/{scene}/train_splat.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=1,
        mem_mb=grow(14000),
    params:
        options=options("train_splat"),
        # Checkpoints are no output: Snakemake deletes those of a failed job, and these must survive it.
        folder=subpath(output.ply, parent=True),
        code=code("train_splat"),
    shell:
        "python -m scripts.train_splat --scene {input.scene:q} --options {params.options:q}"
        " --ply {output.ply:q} --metrics {output.metrics:q} --checkpoints {params.folder:q}/checkpoints"
        " --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_splat:
    """Render the held-out views and compare them with their photos."""
    input:
        ply="<results>/{scene}/splat.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        metrics="<results>/{scene}/eval.json",
        renders="<results>/{scene}/renders.zip",
    log:
        "<logs>/{scene}/evaluate_splat.log",
    benchmark:
        "<benchmarks>/{scene}/evaluate_splat.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 4
    resources:
        gpu=1,
        mem_mb=grow(8000),
    params:
        options=options("evaluate_splat"),
        code=code("evaluate_splat"),
    shell:
        "python -m scripts.evaluate_splat --ply {input.ply:q} --scene {input.scene:q}"
        " --options {params.options:q} --eval {output.metrics:q} --renders {output.renders:q}"
        " 2>&1 | tee {log:q}"


rule compress_splat:
    """Encode the splat for the web, and read every file back."""
    input:
        ply="<results>/{scene}/splat.ply",
    output:
        sog="<results>/{scene}/splat.sog",
        spz="<results>/{scene}/splat.spz",
        compressed_ply="<results>/{scene}/splat.compressed.ply",
    log:
        "<logs>/{scene}/compress_splat.log",
    benchmark:
        "<benchmarks>/{scene}/compress_splat.tsv"
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 4
    resources:
        mem_mb=grow(6000),
    params:
        options=options("compress_splat"),
        code=code("compress_splat"),
    shell:
        "python -m scripts.compress_splat --ply {input.ply:q} --options {params.options:q}"
        " --sog {output.sog:q} --spz {output.spz:q} --compressed-ply {output.compressed_ply:q}"
        " 2>&1 | tee {log:q}"


rule check_codecs:
    """Measure what ships: decode each file, render the held-out views, and refuse a loss above the limit."""
    input:
        ply="<results>/{scene}/splat.ply",
        scene="<results>/{scene}/undistorted.zip",
        encoded=collect("<results>/{{scene}}/splat.{format}", format=["sog", "spz", "compressed.ply"]),
    output:
        metrics="<results>/{scene}/codecs.json",
    log:
        "<logs>/{scene}/check_codecs.log",
    benchmark:
        "<benchmarks>/{scene}/check_codecs.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 4
    resources:
        gpu=1,
        mem_mb=grow(8000),
    params:
        options=options("check_codecs"),
        code=code("check_codecs"),
    shell:
        "python -m scripts.check_codecs --ply {input.ply:q} --scene {input.scene:q}"
        " --encoded {input.encoded:q} --options {params.options:q} --metrics {output.metrics:q}"
        " 2>&1 | tee {log:q}"


rule render_poster:
    """Choose the page's start view among the capture cameras and render it."""
    input:
        ply="<results>/{scene}/splat.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        poster="<results>/{scene}/poster.jpg",
        view="<results>/{scene}/view.json",
    log:
        "<logs>/{scene}/render_poster.log",
    benchmark:
        "<benchmarks>/{scene}/render_poster.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 4
    resources:
        gpu=1,
        mem_mb=grow(8000),
    params:
        code=code("render_poster"),
    shell:
        "python -m scripts.render_poster --ply {input.ply:q} --scene {input.scene:q}"
        " --output {output.poster:q} --view {output.view:q} 2>&1 | tee {log:q}"
