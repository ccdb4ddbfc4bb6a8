"""The page: a folder of plain files that any static host serves.

Needs  <results>/{scene}/splat.sog, poster.jpg, view.json and every stage's JSON
Leaves <results>/{scene}/web/index.html and the other files of the bundle,
       splat.html (all in one file), site.zip (for hosts: names that carry a hash, levels of detail)
"""

from scripts.lib.contracts.step import steps_to_json
from scripts.lib.web.bundle import FILES as BUNDLE_FILES
from scripts.lib.workflow.steps import spread, steps_to

# Files beside the bundle whose hashes its manifest keeps.
SHIPPED = ["splat.ply", "splat.clean.ply", "splat.spz", "splat.compressed.ply"]
# Rules that lead to the page: its RO-Crate tells what each took.
BEFORE_PAGE = [
    "import_photos",
    "extract_features",
    "match_photos",
    "extract_part",
    "gather_features",
    "plan_pairs",
    "match_part",
    "gather_matches",
    "map_scene",
    "undistort",
    "plan_blocks",
    "train_coarse",
    "train_block",
    "merge_blocks",
    "train_splat",
    "evaluate_splat",
    "clean_splat",
    "compress_splat",
    "check_codecs",
    "render_poster",
]
# In a bucket each of these files costs a dozen requests: there the crate does without their seconds and memory,
# and has when each stage began and ended, which their JSON tells.
MEASURED = [] if RUN_PREFIX else BEFORE_PAGE


rule bundle_web:
    """Gather page, viewer, splat, poster and manifest into one folder, and into one file."""
    input:
        sog="<results>/{scene}/splat.sog",
        mobile="<results>/{scene}/splat.mobile.sog",
        lod="<results>/{scene}/lod.zip",
        poster="<results>/{scene}/poster.jpg",
        view="<results>/{scene}/view.json",
        photos="<results>/{scene}/photos.json",
        sfm="<results>/{scene}/sfm.json",
        georef="<results>/{scene}/georef.json",
        train="<results>/{scene}/train.json",
        eval="<results>/{scene}/eval.json",
        clean="<results>/{scene}/clean.json",
        features="<results>/{scene}/features.json",
        pairs="<results>/{scene}/pairs.json",
        undistort="<results>/{scene}/undistort.json",
        compress="<results>/{scene}/compress.json",
        codecs="<results>/{scene}/codecs.json",
        deliver=deliver_json,
        walk=walk_file("walk.json"),
        voxels=walk_file("walk.zip"),
        shipped=collect("<results>/{{scene}}/{file}", file=SHIPPED),
        compare=compared("compare.html"),
        benchmarks=lambda wildcards: timed(MEASURED, wildcards.scene),
    output:
        collect("<results>/{{scene}}/web/{file}", file=BUNDLE_FILES),
        single="<results>/{scene}/splat.html",
        site="<results>/{scene}/site.zip",
    log:
        "<logs>/{scene}/bundle_web.log",
    benchmark:
        "<benchmarks>/{scene}/bundle_web.tsv"
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=grow(2000),
        aws_batch_task_timeout=time_limit("bundle_web"),
    params:
        options=options("bundle_web"),
        images=lambda wildcards: json.dumps(
            PLAN.images | {"train": PLAN.train_image(wildcards.scene)}, sort_keys=True
        ),
        folder=subpath(output[0], parent=True),
        steps=lambda wildcards: steps_to_json(
            spread(
                spread(
                    steps_to(
                        rules_of(wildcards.scene),
                        "bundle_web",
                        RESULTS,
                        delivered_steps(wildcards)
                        | OF_PARTS
                        | OF_BLOCKS
                        | {"benchmarks": (), "compare": ()},
                    ),
                    "block",
                    range(1, BLOCKS[wildcards.scene] + 1),
                ),
                "part",
                range(1, DIVISIONS[wildcards.scene].parts + 1),
            )
        ),
        code=code("bundle_web", "scripts/viewer/**/*", "Snakefile", "rules/*.smk"),
    shell:
        "python -m scripts.bundle_web --scene {wildcards.scene:q} --sog {input.sog:q}"
        " --mobile {input.mobile:q} --poster {input.poster:q} --view {input.view:q} --photos {input.photos:q} --sfm {input.sfm:q}"
        " --georef {input.georef:q} --train {input.train:q} --eval {input.eval:q}"
        " --features {input.features:q} --pairs {input.pairs:q} --undistort {input.undistort:q}"
        " --compress {input.compress:q} --clean {input.clean:q} --shipped {input.shipped:q} {input.compare:q} --images {params.images:q}"
        " --codecs {input.codecs:q} --options {params.options:q} --output-dir {params.folder:q}"
        " --steps {params.steps:q} --benchmarks {input.benchmarks:q}"
        " --deliver {input.deliver:q} --lod {input.lod:q} --single {output.single:q} --site {output.site:q}"
        " --walk {input.walk:q} --voxels {input.voxels:q}"
        " 2>&1 | tee {log:q}"
