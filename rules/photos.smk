"""Photos as people have them become one checked archive.

Needs  the sheet's source: a folder or a .zip
Leaves <results>/{scene}/photos.zip, photos.json
"""


rule import_photos:
    """Check every photo, turn it upright, and say why each file was kept or not."""
    input:
        # A fresh clone or a copied folder has new dates; `digest` below tells what really changed.
        source=lambda wildcards: ancient(source(wildcards)),
    output:
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
    log:
        "<logs>/{scene}/import_photos.log",
    benchmark:
        "<benchmarks>/{scene}/import_photos.tsv"
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 2
    resources:
        mem_mb=grow(4000),
    params:
        options=options("import_photos"),
        digest=lambda wildcards, input: source_digest(str(input.source)),
        code=code("import_photos"),
    shell:
        "python -m scripts.import_photos --source {input.source:q} --options {params.options:q}"
        " --photos {output.photos:q} --report {output.report:q} 2>&1 | tee {log:q}"
