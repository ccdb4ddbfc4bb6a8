"""splatmake: photos of a place -> COLMAP model -> trained 3D Gaussian splat -> a web page to walk through.

snakemake --cores all                                       the scenes of config/scenes.tsv
snakemake --cores all --config scenes=my.tsv results=out    your own photos
snakemake results/courtyard/web/index.html                  one target
snakemake -s CHECKOUT/Snakefile --cores all ...             from any other folder
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
CONFIG = Path("config", "config.yaml")  # of the folder that results are made in, else of this checkout


configfile: CONFIG if CONFIG.exists() else Path(workflow.basedir) / CONFIG


include: "rules/common.smk"
include: "rules/bucket.smk"
include: "rules/worker.smk"
include: "rules/photos.smk"
include: "rules/sfm.smk"
include: "rules/parts.smk"
include: "rules/blocks.smk"
include: "rules/splat.smk"
include: "rules/geo.smk"
include: "rules/web.smk"
include: "rules/compare.smk"
include: "rules/publish.smk"
include: "rules/report.smk"


rule all:
    """A page, a film and a report for every scene of the sheet, and an index of all."""
    default_target: True
    input:
        pages=collect("<results>/{scene}/web/index.html", scene=SCENES),
        reports=collect("<results>/{scene}/report.html", scene=SCENES),
        films=collect("<results>/{scene}/tour.mp4", scene=SCENES),
        index="<results>/index.html",
        delivered=collect("<results>/{scene}/deliver.json", scene=DELIVERING),
        compared=collect("<results>/{scene}/compare.html", scene=COMPARED),
        published=collect("<results>/{scene}/published.json", scene=PUBLISHED),
