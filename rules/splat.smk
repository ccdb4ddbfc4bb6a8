"""A trained splat, and its quality on test photos, which play no part in training or in any decision.

Needs  <results>/{scene}/undistorted.zip
Leaves <results>/{scene}/splat.ply, train.json, left_out.zip, eval.json, renders.zip, splat.clean.ply, clean.json,
       splat.sog, splat.mobile.sog, splat.spz, splat.compressed.ply, lod.zip, compress.json, codecs.json,
       poster.jpg, view.json, tour.mp4, stops.jpg, tour.json
"""


rule train_splat:
    """Optimise Gaussians until the photos are reproduced; an interrupted run continues from its checkpoint."""
    input:
        scene="<results>/{scene}/undistorted.zip",
    output:
        ply="<results>/{scene}/splat.ply",
        metrics="<results>/{scene}/train.json",
        left_out="<results>/{scene}/left_out.zip",
    log:
        "<logs>/{scene}/train_splat.log",
    benchmark:
        "<benchmarks>/{scene}/train_splat.tsv"
    wildcard_constraints:
        scene=blocks.all_but(blocks.divided(BLOCKS)),
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(14000),
        aws_batch_task_timeout=time_limit("train_splat"),
    params:
        options=options("train_splat"),
        device=device,
        # Checkpoints are no output: Snakemake deletes those of a failed job, and these must survive it.
        checkpoints=lambda wildcards: checkpoint_place(RUN_PREFIX, RESULTS, wildcards.scene),
        code=code("train_splat"),
    shell:
        "python -m scripts.train_splat --scene {input.scene:q} --options {params.options:q}"
        " --ply {output.ply:q} --metrics {output.metrics:q} --checkpoints {params.checkpoints:q}"
        " --left-out {output.left_out:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_splat:
    """Render the splat from the camera poses of the test photos, and compare it with them."""
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
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("evaluate_splat"),
    params:
        options=options("evaluate_splat"),
        device=device,
        code=code("evaluate_splat"),
    shell:
        "python -m scripts.evaluate_splat --ply {input.ply:q} --scene {input.scene:q}"
        " --options {params.options:q} --eval {output.metrics:q} --renders {output.renders:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule clean_splat:
    """Remove floaters and haze that no camera really saw, unless the validation photos suffer."""
    input:
        ply="<results>/{scene}/splat.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        ply="<results>/{scene}/splat.clean.ply",
        metrics="<results>/{scene}/clean.json",
    log:
        "<logs>/{scene}/clean_splat.log",
    benchmark:
        "<benchmarks>/{scene}/clean_splat.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("clean_splat"),
    params:
        options=options("clean_splat"),
        device=device,
        code=code("clean_splat"),
    shell:
        "python -m scripts.clean_splat --ply {input.ply:q} --scene {input.scene:q}"
        " --options {params.options:q} --output {output.ply:q} --metrics {output.metrics:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule compress_splat:
    """Encode the splat for desktop, phone and archive, each as small as its measured loss allows."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        sog="<results>/{scene}/splat.sog",
        mobile="<results>/{scene}/splat.mobile.sog",
        spz="<results>/{scene}/splat.spz",
        compressed_ply="<results>/{scene}/splat.compressed.ply",
        lod="<results>/{scene}/lod.zip",
        metrics="<results>/{scene}/compress.json",
    log:
        "<logs>/{scene}/compress_splat.log",
    benchmark:
        "<benchmarks>/{scene}/compress_splat.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("compress_splat"),
    params:
        options=options("compress_splat"),
        device=device,
        code=code("compress_splat"),
    shell:
        "python -m scripts.compress_splat --ply {input.ply:q} --scene {input.scene:q}"
        " --options {params.options:q} --sog {output.sog:q} --mobile {output.mobile:q}"
        " --spz {output.spz:q} --compressed-ply {output.compressed_ply:q} --lod {output.lod:q}"
        " --metrics {output.metrics:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule check_codecs:
    """Check the published files: decode each, compare it with the test photos, refuse too large a loss."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        encoded=collect(
            "<results>/{{scene}}/splat.{format}",
            format=["sog", "mobile.sog", "spz", "compressed.ply"],
        ),
        lod="<results>/{scene}/lod.zip",
        compressed="<results>/{scene}/compress.json",
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
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("check_codecs"),
    params:
        options=options("check_codecs"),
        device=device,
        code=code("check_codecs"),
    shell:
        "python -m scripts.check_codecs --ply {input.ply:q} --scene {input.scene:q}"
        " --encoded {input.encoded:q} {input.lod:q} --compressed {input.compressed:q} --options {params.options:q}"
        " --metrics {output.metrics:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule render_poster:
    """Plan the visit (start view, tour, limits, map) from the camera poses, and render the poster."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        poster=report(
            "<results>/{scene}/poster.jpg",
            caption="captions/poster.rst",
            category="Scenes",
            subcategory="{scene}",
            labels={"scene": "{scene}", "what": "poster"},
        ),
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
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("render_poster"),
    params:
        device=device,
        code=code("render_poster"),
    shell:
        "python -m scripts.render_poster --ply {input.ply:q} --scene {input.scene:q}"
        " --output {output.poster:q} --view {output.view:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule render_tour:
    """Film the guided tour with our own renderer, and a strip of its stops."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        view="<results>/{scene}/view.json",
    output:
        film=report(
            "<results>/{scene}/tour.mp4",
            caption="captions/tour.rst",
            category="Scenes",
            subcategory="{scene}",
            labels={"scene": "{scene}", "what": "tour"},
        ),
        stops="<results>/{scene}/stops.jpg",
        metrics="<results>/{scene}/tour.json",
    log:
        "<logs>/{scene}/render_tour.log",
    benchmark:
        "<benchmarks>/{scene}/render_tour.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 4
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("render_tour"),
    params:
        options=options("render_tour"),
        device=device,
        code=code("render_tour"),
    shell:
        "python -m scripts.render_tour --ply {input.ply:q} --view {input.view:q}"
        " --options {params.options:q} --film {output.film:q} --stops {output.stops:q}"
        " --metrics {output.metrics:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"
