"""Publishing the page; only if the configuration says where (`publish_web.to`).

Needs  <results>/{scene}/site.zip
Leaves <results>/{scene}/published.json, and the page below `publish_web.to`
"""

PUBLISHED = [scene for scene in SCENES if SCENE_SETTINGS[scene]["publish_web"]["to"]]


rule publish_web:
    """Publish the page, with file names and headers that caches understand."""
    input:
        site="<results>/{scene}/site.zip",
    output:
        published="<results>/{scene}/published.json",
    log:
        "<logs>/{scene}/publish_web.log",
    benchmark:
        "<benchmarks>/{scene}/publish_web.tsv"
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=grow(2000),
        aws_batch_task_timeout=time_limit("publish_web"),
    params:
        options=options("publish_web"),
        code=code("publish_web"),
    shell:
        "python -m scripts.publish_web --scene {wildcards.scene:q} --site {input.site:q}"
        " --options {params.options:q} --output {output.published:q} 2>&1 | tee {log:q}"
