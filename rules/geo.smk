"""Files for other programs, each only if the scene asks for it (`deliver`).

Needs  <results>/{scene}/splat.clean.ply, undistorted.zip, georef.json
Leaves <results>/{scene}/geo/tiles.3tz, points.laz, ortho.tif, dsm.tif, trust.tif,
       <results>/{scene}/walk.zip, walk.json,
       <results>/{scene}/scene.glb, scene.spz, scene.v4.spz, scene.usdz, scene.ply,
       <results>/{scene}/deliver/*.json (what each rule made), deliver.json (all of them)
"""

DELIVERING = [scene for scene in SCENES if PLAN.deliver[scene].names]


rule export_tiles:
    """Write the splat as 3D Tiles on the globe, and read them back."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        georef="<results>/{scene}/georef.json",
    output:
        tiles="<results>/{scene}/geo/tiles.3tz",
        told="<results>/{scene}/deliver/tiles.json",
    log:
        "<logs>/{scene}/export_tiles.log",
    benchmark:
        "<benchmarks>/{scene}/export_tiles.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("export_tiles"),
    params:
        options=options("export_tiles"),
        device=device,
        frame=frame,
        code=code("export_tiles"),
    shell:
        "python -m scripts.export_tiles --ply {input.ply:q} --scene {input.scene:q} --georef {input.georef:q}"
        " --frame {params.frame} --options {params.options:q} --output {output.tiles:q} --told {output.told:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule export_glb:
    """Write the splat as binary glTF with KHR_gaussian_splatting, and read it back."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
    output:
        file="<results>/{scene}/scene.glb",
        told="<results>/{scene}/deliver/glb.json",
    log:
        "<logs>/{scene}/export_glb.log",
    benchmark:
        "<benchmarks>/{scene}/export_glb.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("export_glb"),
    params:
        kind="glb",
        options=options("export_glb"),
        device=device,
        code=code("export_file"),
    shell:
        "python -m scripts.export_file --kind {params.kind} --ply {input.ply:q} --scene {input.scene:q}"
        " --options {params.options:q} --output {output.file:q} --told {output.told:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


use rule export_glb as export_spz3 with:
    output:
        file="<results>/{scene}/scene.spz",
        told="<results>/{scene}/deliver/spz3.json",
    log:
        "<logs>/{scene}/export_spz3.log",
    benchmark:
        "<benchmarks>/{scene}/export_spz3.tsv"
    params:
        kind="spz3",
        options=options("export_spz3"),
        device=device,
        code=code("export_file"),


use rule export_glb as export_spz4 with:
    output:
        file="<results>/{scene}/scene.v4.spz",
        told="<results>/{scene}/deliver/spz4.json",
    log:
        "<logs>/{scene}/export_spz4.log",
    benchmark:
        "<benchmarks>/{scene}/export_spz4.tsv"
    params:
        kind="spz4",
        options=options("export_spz4"),
        device=device,
        code=code("export_file"),


use rule export_glb as export_usd with:
    output:
        file="<results>/{scene}/scene.usdz",
        told="<results>/{scene}/deliver/usd.json",
    log:
        "<logs>/{scene}/export_usd.log",
    benchmark:
        "<benchmarks>/{scene}/export_usd.tsv"
    params:
        kind="usd",
        options=options("export_usd"),
        device=device,
        code=code("export_file"),


use rule export_glb as export_ply with:
    output:
        file="<results>/{scene}/scene.ply",
        told="<results>/{scene}/deliver/ply.json",
    log:
        "<logs>/{scene}/export_ply.log",
    benchmark:
        "<benchmarks>/{scene}/export_ply.tsv"
    params:
        kind="ply",
        options=options("export_ply"),
        device=device,
        code=code("export_file"),


rule export_walk:
    """Find where visitors can walk, and write the walls and floors that hold them."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        georef="<results>/{scene}/georef.json",
    output:
        file="<results>/{scene}/walk.zip",
        walk="<results>/{scene}/walk.json",
        told="<results>/{scene}/deliver/walk.json",
    log:
        "<logs>/{scene}/export_walk.log",
    benchmark:
        "<benchmarks>/{scene}/export_walk.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 2
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("export_walk"),
    params:
        options=options("export_walk"),
        code=code("export_walk"),
    shell:
        "python -m scripts.export_walk --ply {input.ply:q} --scene {input.scene:q} --georef {input.georef:q}"
        " --options {params.options:q} --output {output.file:q} --walk {output.walk:q} --told {output.told:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule export_points:
    """Write the splat's surfaces as a point cloud on a map, and read it back."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        georef="<results>/{scene}/georef.json",
    output:
        file="<results>/{scene}/geo/points.laz",
        told="<results>/{scene}/deliver/points.json",
    log:
        "<logs>/{scene}/export_points.log",
    benchmark:
        "<benchmarks>/{scene}/export_points.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("export_points"),
    params:
        options=options("export_points"),
        device=device,
        code=code("export_points"),
    shell:
        "python -m scripts.export_points --ply {input.ply:q} --scene {input.scene:q} --georef {input.georef:q}"
        " --options {params.options:q} --output {output.file:q} --told {output.told:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule export_ortho:
    """Draw orthophoto, elevation and trust straight down from the splat, and read them back."""
    input:
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        georef="<results>/{scene}/georef.json",
    output:
        ortho="<results>/{scene}/geo/ortho.tif",
        dsm="<results>/{scene}/geo/dsm.tif",
        trust="<results>/{scene}/geo/trust.tif",
        told="<results>/{scene}/deliver/ortho.json",
    log:
        "<logs>/{scene}/export_ortho.log",
    benchmark:
        "<benchmarks>/{scene}/export_ortho.tsv"
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("export_ortho"),
    params:
        options=options("export_ortho"),
        device=device,
        code=code("export_ortho"),
    shell:
        "python -m scripts.export_ortho --ply {input.ply:q} --scene {input.scene:q} --georef {input.georef:q}"
        " --options {params.options:q} --ortho {output.ortho:q} --dsm {output.dsm:q} --trust {output.trust:q} --told {output.told:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule deliver_scene:
    """List the files for other programs, with what checked each of them."""
    input:
        told=delivering("told"),
    output:
        deliver="<results>/{scene}/deliver.json",
    log:
        "<logs>/{scene}/deliver_scene.log",
    localrule: True
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=500,
    params:
        names=lambda wildcards: ",".join(PLAN.deliver[wildcards.scene].names),
        left_out=lambda wildcards: json.dumps(dict(PLAN.deliver[wildcards.scene].left_out)),
        code=code("deliver_scene"),
    shell:
        "python -m scripts.deliver_scene --told {input.told:q} --names {params.names:q}"
        " --left-out {params.left_out:q} --output {output.deliver:q} 2>&1 | tee {log:q}"
