"""What people read: one report per scene, and one index of all scenes.

Needs  every stage's JSON, renders.zip, the page's manifest
Leaves <results>/{scene}/cost.json, report.html, <results>/summary.tsv, <results>/index.html
"""

TIMED = [*BEFORE_PAGE, "render_tour", "bundle_web"]


rule cost_scene:
    """Sum up what the stages used, in seconds, dollars and kWh; where the submitter keeps the ledger."""
    input:
        benchmarks=lambda wildcards: timed(TIMED, wildcards.scene),
        exported=delivering("rules"),
        compared=lambda wildcards: compared_tables(wildcards),
    output:
        cost="<results>/{scene}/cost.json",
    log:
        "<logs>/{scene}/cost_scene.log",
    localrule: True
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=500,
    params:
        options=options("cost_scene"),
        run=RUN_PREFIX,
        code=code("cost_scene", "config/aws/prices.yaml"),
    shell:
        "python -m scripts.cost_scene --scene {wildcards.scene:q} --benchmarks {input.benchmarks:q} {input.exported:q}"
        " {input.compared:q} --options {params.options:q} --run {params.run:q} --output {output.cost:q} 2>&1 | tee {log:q}"


rule report_scene:
    """Report in words and pictures how good the capture and the splat are."""
    input:
        photos="<results>/{scene}/photos.json",
        contact="<results>/{scene}/contact.jpg",
        pairs="<results>/{scene}/pairs.json",
        sfm="<results>/{scene}/sfm.json",
        georef="<results>/{scene}/georef.json",
        train="<results>/{scene}/train.json",
        eval="<results>/{scene}/eval.json",
        clean="<results>/{scene}/clean.json",
        codecs="<results>/{scene}/codecs.json",
        left_out="<results>/{scene}/left_out.zip",
        renders="<results>/{scene}/renders.zip",
        poster="<results>/{scene}/poster.jpg",
        view="<results>/{scene}/view.json",
        stops="<results>/{scene}/stops.jpg",
        features="<results>/{scene}/features.json",
        undistort="<results>/{scene}/undistort.json",
        compress="<results>/{scene}/compress.json",
        tour="<results>/{scene}/tour.json",
        manifest="<results>/{scene}/web/manifest.json",
        deliver=deliver_json,
        benchmarks=lambda wildcards: timed(TIMED, wildcards.scene),
        exported=delivering("rules"),
        compared=lambda wildcards: compared_tables(wildcards),
        registration=compared("registration.json"),
        changes=compared("changes.json"),
        changed=compared("changes.zip"),
        cost="<results>/{scene}/cost.json",
    output:
        report=report(
            "<results>/{scene}/report.html",
            caption="captions/report_scene.rst",
            category="Scenes",
            subcategory="{scene}",
            labels={"scene": "{scene}", "what": "report"},
        ),
    log:
        "<logs>/{scene}/report_scene.log",
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=grow(2000),
        aws_batch_task_timeout=time_limit("report_scene"),
    params:
        options=options("report_scene"),
        code=code("report_scene", "scripts/lib/report/templates/*"),
    shell:
        "python -m scripts.report_scene --scene {wildcards.scene:q} --photos {input.photos:q}"
        " --contact {input.contact:q}"
        " --pairs {input.pairs:q} --sfm {input.sfm:q} --georef {input.georef:q} --train {input.train:q}"
        " --eval {input.eval:q} --clean {input.clean:q} --codecs {input.codecs:q} --renders {input.renders:q}"
        " --left-out {input.left_out:q}"
        " --poster {input.poster:q} --view {input.view:q} --stops {input.stops:q}"
        " --features {input.features:q} --undistort {input.undistort:q} --compress {input.compress:q}"
        " --tour {input.tour:q} --manifest {input.manifest:q} --benchmarks {input.benchmarks:q} {input.exported:q} {input.compared:q}"
        " --cost {input.cost:q} --deliver {input.deliver:q} --registration {input.registration:q}"
        " --changes {input.changes:q} --changed {input.changed:q}"
        " --options {params.options:q} --output {output.report:q} 2>&1 | tee {log:q}"


rule summarise:
    """One table and one index page over every scene of the sheet."""
    input:
        sfm=collect("<results>/{scene}/sfm.json", scene=SCENES),
        train=collect("<results>/{scene}/train.json", scene=SCENES),
        eval=collect("<results>/{scene}/eval.json", scene=SCENES),
        codecs=collect("<results>/{scene}/codecs.json", scene=SCENES),
        posters=collect("<results>/{scene}/poster.jpg", scene=SCENES),
        benchmarks=[table for scene in SCENES for table in timed(TIMED, scene)],
        costs=collect("<results>/{scene}/cost.json", scene=SCENES),
    output:
        table=report(
            "<results>/summary.tsv",
            caption="captions/summary.rst",
            category="All scenes",
            labels={"what": "table"},
        ),
        index=report(
            "<results>/index.html",
            caption="captions/index.rst",
            category="All scenes",
            labels={"what": "index"},
        ),
    log:
        "<logs>/summarise.log",
    localrule: True
    conda:
        "../envs/web.yaml"
    container:
        IMAGES["web"]
    threads: 1
    resources:
        mem_mb=grow(2000),
    params:
        scenes=list(SCENES),
        code=code("summarise", "scripts/lib/report/templates/*"),
    shell:
        "python -m scripts.summarise --scenes {params.scenes:q} --sfm {input.sfm:q} --train {input.train:q}"
        " --eval {input.eval:q} --codecs {input.codecs:q} --posters {input.posters:q}"
        " --benchmarks {input.benchmarks:q} --costs {input.costs:q}"
        " --others --tsv {output.table:q} --html {output.index:q} 2>&1 | tee {log:q}"
