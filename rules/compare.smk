"""Two captures of one place, where a row of the sheet names the other one (`same_place_as`).

Needs  of both scenes: <results>/{scene}/features.db, sparse/, georef.json, splat.ply, splat.clean.ply,
       undistorted.zip, splat.sog, splat.mobile.sog, photos.json; view.json of the other one
Leaves <results>/{scene}/registration.json   the scene's frame in that of the other capture
       <results>/{scene}/changes.json, changes.zip   what changed, and pictures of it
       <results>/{scene}/compare.html   the page that shows both, in one file
"""

COMPARED = list(PLAN.same_place)
MODEL_FILES = ["cameras.bin", "images.bin", "points3D.bin", "rigs.bin", "frames.bin"]


rule register_captures:
    """Bring a scene into the frame of another capture of the same place."""
    input:
        database="<results>/{scene}/features.db",
        model=collect("<results>/{{scene}}/sparse/{file}", file=MODEL_FILES),
        georef="<results>/{scene}/georef.json",
        reference_database=of_reference("features.db"),
        reference_model=lambda wildcards: [of_reference(f"sparse/{file}")(wildcards) for file in MODEL_FILES],
        reference_georef=of_reference("georef.json"),
    output:
        registration="<results>/{scene}/registration.json",
    log:
        "<logs>/{scene}/register_captures.log",
    benchmark:
        "<benchmarks>/{scene}/register_captures.tsv"
    wildcard_constraints:
        scene=blocks.only(PLAN.same_place),
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("register_captures"),
        device=device,
    params:
        options=options("register_captures"),
        matching=options("match_photos"),
        reference=lambda wildcards: PLAN.same_place[wildcards.scene],
        sparse=lambda wildcards, input: os.path.dirname(input.model[0]),
        reference_sparse=lambda wildcards, input: os.path.dirname(input.reference_model[0]),
        code=code("register_captures"),
    shell:
        "python -m scripts.register_captures --reference-scene {params.reference:q}"
        " --own-scene {wildcards.scene:q} --reference-sparse {params.reference_sparse:q}"
        " --own-sparse {params.sparse:q} --reference-database {input.reference_database:q}"
        " --own-database {input.database:q} --reference-georef {input.reference_georef:q}"
        " --own-georef {input.georef:q} --options {params.options:q} --matching {params.matching:q}"
        " --output {output.registration:q} --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule find_changes:
    """Find what changed between two captures of one place, by their splats from the same cameras."""
    input:
        registration="<results>/{scene}/registration.json",
        trained="<results>/{scene}/splat.ply",
        ply="<results>/{scene}/splat.clean.ply",
        scene="<results>/{scene}/undistorted.zip",
        reference_trained=of_reference("splat.ply"),
        reference_ply=of_reference("splat.clean.ply"),
        reference_scene=of_reference("undistorted.zip"),
    output:
        changes="<results>/{scene}/changes.json",
        pictures="<results>/{scene}/changes.zip",
    log:
        "<logs>/{scene}/find_changes.log",
    benchmark:
        "<benchmarks>/{scene}/find_changes.tsv"
    wildcard_constraints:
        scene=blocks.only(PLAN.same_place),
    conda:
        "../envs/train.yaml"
    container:
        IMAGES["train"]
    threads: 16
    resources:
        gpu=gpus,
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("find_changes"),
    params:
        options=options("find_changes"),
        device=device,
        code=code("find_changes"),
    shell:
        "python -m scripts.find_changes --registration {input.registration:q}"
        " --reference-trained {input.reference_trained:q} --reference-ply {input.reference_ply:q}"
        " --reference-scene {input.reference_scene:q} --own-trained {input.trained:q}"
        " --own-ply {input.ply:q} --own-scene {input.scene:q} --options {params.options:q}"
        " --output {output.changes:q} --pictures {output.pictures:q}"
        " --device {params.device:q} --gpus {resources.gpu} --threads {threads} 2>&1 | tee {log:q}"


rule bundle_compare:
    """Make the page that shows two captures of one place side by side, in one file."""
    input:
        registration="<results>/{scene}/registration.json",
        changes="<results>/{scene}/changes.json",
        pictures="<results>/{scene}/changes.zip",
        sog=lambda wildcards: f"{RESULTS}/{wildcards.scene}/{compared_splat(wildcards)}",
        photos="<results>/{scene}/photos.json",
        reference_sog=lambda wildcards: of_reference(compared_splat(wildcards))(wildcards),
        reference_photos=of_reference("photos.json"),
        view=of_reference("view.json"),
    output:
        page="<results>/{scene}/compare.html",
    log:
        "<logs>/{scene}/bundle_compare.log",
    benchmark:
        "<benchmarks>/{scene}/bundle_compare.tsv"
    wildcard_constraints:
        scene=blocks.only(PLAN.same_place),
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=grow(2000),
        aws_batch_task_timeout=time_limit("bundle_compare"),
    params:
        reference=lambda wildcards: PLAN.same_place[wildcards.scene],
        web=options("bundle_web"),
        reference_web=lambda wildcards: json.dumps(
            SCENE_SETTINGS[PLAN.same_place[wildcards.scene]]["bundle_web"], sort_keys=True
        ),
        code=code("bundle_compare", "scripts/viewer/**/*"),
    shell:
        "python -m scripts.bundle_compare --reference-name {params.reference:q} --own-name {wildcards.scene:q}"
        " --reference-sog {input.reference_sog:q} --own-sog {input.sog:q}"
        " --reference-photos {input.reference_photos:q} --own-photos {input.photos:q}"
        " --reference-web {params.reference_web:q} --own-web {params.web:q} --view {input.view:q}"
        " --registration {input.registration:q} --changes {input.changes:q} --pictures {input.pictures:q}"
        " --output {output.page:q} 2>&1 | tee {log:q}"
