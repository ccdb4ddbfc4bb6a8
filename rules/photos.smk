"""Photos in any common form become one checked archive.

Needs  the sheet's source: a folder, a .zip, or a video; `s3://` ones are fetched by Snakemake
Leaves <results>/{scene}/photos.zip    NAME.jpg, upright, without EXIF; masks/NAME.jpg.png (one bit, black is
                                       ignored) for photos that have a mask
       <results>/{scene}/photos.json   every file: kept or why not, with camera, place, time and quality
       <results>/{scene}/contact.jpg   thumbnails of kept and dropped photos, without places
"""


rule import_photos:
    """Check every photo, turn it upright, and tell why each file is used or not."""
    input:
        # A fresh clone or a copied folder has new dates; `digest` below tells what really changed.
        source=lambda wildcards: ancient(source(wildcards)),
    output:
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
        contact="<results>/{scene}/contact.jpg",
    log:
        "<logs>/{scene}/import_photos.log",
    benchmark:
        "<benchmarks>/{scene}/import_photos.tsv"
    wildcard_constraints:
        scene=ALL_PHOTOS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("import_photos"),
    params:
        options=options("import_photos"),
        # By wildcards alone: Snakemake leaves out of its comparison what a function takes from `input`.
        digest=source_state,
        name=lambda wildcards: SCENES[wildcards.scene]["source"],
        code=code("import_photos"),
    shell:
        "python -m scripts.import_photos --source {input.source:q} --name {params.name:q}"
        " --options {params.options:q} --photos {output.photos:q} --report {output.report:q} --contact {output.contact:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
