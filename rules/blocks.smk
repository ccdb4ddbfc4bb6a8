"""A large scene trained in blocks: what splat.smk does in one job, in many that each need less memory.

Needs  <results>/{scene}/undistorted.zip
Leaves <results>/{scene}/blocks/plan.json, blocks/coarse.ply, coarse.json, blocks/1.ply, 1.json, 2.ply ...,
       and splat.ply, train.json and left_out.zip as train_splat does
"""

LARGE = blocks.only(blocks.divided(BLOCKS))


# What `of_blocks` gives, by the names of the inputs, for whoever follows the rules back.
OF_BLOCKS = {"plys": ("blocks/{block}.ply",), "numbers": ("blocks/{block}.json",)}


rule plan_blocks:
    """Divide a large scene into blocks of about equal work, and choose the photos of each."""
    input:
        scene="<results>/{scene}/undistorted.zip",
    output:
        plan="<results>/{scene}/blocks/plan.json",
    log:
        "<logs>/{scene}/plan_blocks.log",
    benchmark:
        "<benchmarks>/{scene}/plan_blocks.tsv"
    wildcard_constraints:
        scene=LARGE,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 1
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("plan_blocks"),
    params:
        blocks=lambda wildcards: BLOCKS[wildcards.scene],
        code=code("plan_blocks"),
    shell:
        "python -m scripts.plan_blocks --scene {input.scene:q} --blocks {params.blocks} --plan {output.plan:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule train_coarse:
    """Train a coarse model of the whole large scene: where every block starts, and what stands around it."""
    input:
        scene="<results>/{scene}/undistorted.zip",
    output:
        ply="<results>/{scene}/blocks/coarse.ply",
        metrics="<results>/{scene}/blocks/coarse.json",
        left_out="<results>/{scene}/left_out.zip",
    log:
        "<logs>/{scene}/train_coarse.log",
    benchmark:
        "<benchmarks>/{scene}/train_coarse.tsv"
    wildcard_constraints:
        scene=LARGE,
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(14000),
        aws_batch_task_timeout=time_limit("train_coarse"),
    params:
        options=options("train_splat"),
        device=device,
        checkpoints=lambda wildcards: checkpoint_place(RUN_PREFIX, RESULTS, wildcards.scene, "coarse"),
        code=code("train_coarse"),
    shell:
        "python -m scripts.train_coarse --scene {input.scene:q} --options {params.options:q}"
        " --ply {output.ply:q} --metrics {output.metrics:q} --checkpoints {params.checkpoints:q}"
        " --left-out {output.left_out:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule train_block:
    """Train one block of a large scene; an interrupted one continues from its own checkpoint."""
    input:
        scene="<results>/{scene}/undistorted.zip",
        plan="<results>/{scene}/blocks/plan.json",
        coarse="<results>/{scene}/blocks/coarse.ply",
    output:
        ply="<results>/{scene}/blocks/{block}.ply",
        metrics="<results>/{scene}/blocks/{block}.json",
    log:
        "<logs>/{scene}/train_block.{block}.log",
    benchmark:
        "<benchmarks>/{scene}/train_block.{block}.tsv"
    wildcard_constraints:
        scene=LARGE,
        block="[1-9][0-9]*",
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(14000),
        aws_batch_task_timeout=time_limit("train_block"),
    params:
        options=options("train_splat"),
        device=device,
        checkpoints=lambda wildcards: checkpoint_place(
            RUN_PREFIX, RESULTS, wildcards.scene, f"block-{wildcards.block}"
        ),
        code=code("train_block"),
    shell:
        "python -m scripts.train_block --scene {input.scene:q} --plan {input.plan:q} --block {wildcards.block}"
        " --coarse {input.coarse:q} --options {params.options:q}"
        " --ply {output.ply:q} --metrics {output.metrics:q} --checkpoints {params.checkpoints:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule merge_blocks:
    """Put the splat together: of each block what lies in its cell, and the coarse model beyond all of them."""
    input:
        plan="<results>/{scene}/blocks/plan.json",
        coarse="<results>/{scene}/blocks/coarse.ply",
        coarse_metrics="<results>/{scene}/blocks/coarse.json",
        plys=of_blocks("ply"),
        numbers=of_blocks("json"),
    output:
        ply="<results>/{scene}/splat.ply",
        metrics="<results>/{scene}/train.json",
    log:
        "<logs>/{scene}/merge_blocks.log",
    benchmark:
        "<benchmarks>/{scene}/merge_blocks.tsv"
    wildcard_constraints:
        scene=LARGE,
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 1
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("merge_blocks"),
    params:
        code=code("merge_blocks"),
    shell:
        "python -m scripts.merge_blocks --plan {input.plan:q} --coarse {input.coarse:q} {input.coarse_metrics:q}"
        " --blocks {input.plys:q} --numbers {input.numbers:q}"
        " --ply {output.ply:q} --metrics {output.metrics:q} 2>&1 | tee {log:q}"
