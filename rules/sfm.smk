"""Camera poses and a sparse cloud from photos, in the scene's final frame.

Needs  <results>/{scene}/photos.zip, photos.json
Leaves <results>/{scene}/sparse/{cameras,images,points3D,rigs,frames}.bin, sfm.json, georef.json
       <results>/{scene}/components.zip   further models beside the largest one; where a scene asks for them,
                                          take_component makes each a scene of its own
       <results>/{scene}/features.json, pairs.json, undistort.json   how the other steps were run
       <results>/{scene}/undistorted.zip   images/NAME.jpg and sparse/ (COLMAP, PINHOLE cameras); for photos that
                                           have one, masks/NAME.jpg.png: one bit, the photo's size, black is ignored
"""


rule extract_features:
    """Find SIFT features in every photo."""
    input:
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
    output:
        database="<results>/{scene}/features.db",
        metrics="<results>/{scene}/features.json",
    log:
        "<logs>/{scene}/extract_features.log",
    benchmark:
        "<benchmarks>/{scene}/extract_features.tsv"
    wildcard_constraints:
        scene=NOT_IN_PARTS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 16
    resources:
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("extract_features"),
        # No param: a result is as good without a GPU, so another device runs nothing again.
        device=device,
    params:
        options=options("extract_features"),
        code=code("extract_features"),
    shell:
        "python -m scripts.extract_features --photos {input.photos:q} --photos-report {input.report:q}"
        " --options {params.options:q} --database {output.database:q} --metrics {output.metrics:q}"
        " --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule match_photos:
    """Choose pairs of photos that may overlap and match their features."""
    input:
        database="<results>/{scene}/features.db",
        report="<results>/{scene}/photos.json",
    output:
        database="<results>/{scene}/matches.db",
        pairs="<results>/{scene}/pairs.json",
    log:
        "<logs>/{scene}/match_photos.log",
    benchmark:
        "<benchmarks>/{scene}/match_photos.tsv"
    wildcard_constraints:
        scene=NOT_IN_PARTS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("match_photos"),
        device=device,
    params:
        options=options("match_photos"),
        code=code("match_photos"),
    shell:
        "python -m scripts.match_photos --database {input.database:q} --photos-report {input.report:q}"
        " --options {params.options:q} --output {output.database:q} --pairs {output.pairs:q}"
        " --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule map_scene:
    """Compute the camera poses, put the model into its final frame, and stop if the capture is hopeless."""
    input:
        database="<results>/{scene}/matches.db",
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
    output:
        cameras="<results>/{scene}/sparse/cameras.bin",
        images="<results>/{scene}/sparse/images.bin",
        points="<results>/{scene}/sparse/points3D.bin",
        rigs="<results>/{scene}/sparse/rigs.bin",
        frames="<results>/{scene}/sparse/frames.bin",
        metrics="<results>/{scene}/sfm.json",
        georef="<results>/{scene}/georef.json",
        further="<results>/{scene}/components.zip",
    log:
        "<logs>/{scene}/map_scene.log",
    benchmark:
        "<benchmarks>/{scene}/map_scene.tsv"
    wildcard_constraints:
        scene=ALL_PHOTOS,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 8
    resources:
        mem_mb=grow(8000),
        aws_batch_task_timeout=time_limit("map_scene"),
        device=device,
    params:
        options=options("map_scene"),
        # map_scene may extract and match again, in their own settings, when too few photos are registered.
        features=options("extract_features"),
        matching=options("match_photos"),
        sparse=subpath(output.cameras, parent=True),
        code=code("map_scene"),
    shell:
        "python -m scripts.map_scene --database {input.database:q} --photos {input.photos:q}"
        " --photos-report {input.report:q} --options {params.options:q} --features {params.features:q}"
        " --matching {params.matching:q} --sparse {params.sparse:q}"
        " --metrics {output.metrics:q} --georef {output.georef:q} --further {output.further:q}"
        " --device {resources.device} --threads {threads} 2>&1 | tee {log:q}"


rule take_component:
    """Make a further group of a scene's photos a scene of its own, with what was computed of all of them."""
    input:
        further=of_all("components.zip"),
        photos=of_all("photos.zip"),
        pairs=of_all("pairs.json"),
        features=of_all("features.json"),
        contact=of_all("contact.jpg"),
    output:
        photos="<results>/{scene}/photos.zip",
        report="<results>/{scene}/photos.json",
        contact="<results>/{scene}/contact.jpg",
        features="<results>/{scene}/features.json",
        pairs="<results>/{scene}/pairs.json",
        cameras="<results>/{scene}/sparse/cameras.bin",
        images="<results>/{scene}/sparse/images.bin",
        points="<results>/{scene}/sparse/points3D.bin",
        rigs="<results>/{scene}/sparse/rigs.bin",
        frames="<results>/{scene}/sparse/frames.bin",
        metrics="<results>/{scene}/sfm.json",
        georef="<results>/{scene}/georef.json",
    log:
        "<logs>/{scene}/take_component.log",
    benchmark:
        "<benchmarks>/{scene}/take_component.tsv"
    wildcard_constraints:
        scene=FURTHER,
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 1
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("take_component"),
    params:
        name=lambda wildcards: PLAN.further[wildcards.scene].scene,
        number=lambda wildcards: PLAN.further[wildcards.scene].number,
        folder=subpath(output.photos, parent=True),
        code=code("take_component"),
    shell:
        "python -m scripts.take_component --components {input.further:q} --number {params.number}"
        " --scene {params.name:q} --photos {input.photos:q} --pairs {input.pairs:q}"
        " --features {input.features:q} --contact {input.contact:q} --folder {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule undistort:
    """Resample the photos to pinhole cameras: a scene that any trainer can read."""
    input:
        photos="<results>/{scene}/photos.zip",
        cameras="<results>/{scene}/sparse/cameras.bin",
        images="<results>/{scene}/sparse/images.bin",
        points="<results>/{scene}/sparse/points3D.bin",
        rigs="<results>/{scene}/sparse/rigs.bin",
        frames="<results>/{scene}/sparse/frames.bin",
    output:
        scene="<results>/{scene}/undistorted.zip",
        metrics="<results>/{scene}/undistort.json",
    log:
        "<logs>/{scene}/undistort.log",
    benchmark:
        "<benchmarks>/{scene}/undistort.tsv"
    conda:
        "../envs/sfm.yaml"
    container:
        IMAGES["sfm"]
    threads: 16
    resources:
        mem_mb=grow(4000),
        aws_batch_task_timeout=time_limit("undistort"),
    params:
        options=options("undistort"),
        sparse=subpath(input.cameras, parent=True),
        code=code("undistort"),
    shell:
        "python -m scripts.undistort --photos {input.photos:q} --sparse {params.sparse:q}"
        " --options {params.options:q} --output {output.scene:q} --metrics {output.metrics:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
