#!/usr/bin/env bash
# Rewrites every lock from the *.in files, the one place where a package is named:
#   envs/<stage>.txt          what people install with pip: any machine, Python 3.11 or newer
#   envs/images/<image>.txt   what the images install: linux/amd64, Python 3.11, every file by its hash
#   envs/<stage>.yaml         the conda twins of <stage>.txt
# dev.txt is resolved first and constrains the rest, so one package has one version everywhere. The first line
# of a lock says what it was made from, so that `python -m scripts.tools.images --check` sees a forgotten run of this.
set -euo pipefail
cd "$(dirname "$0")"

# torch's own CUDA packages are left to pip in <stage>.txt: torch pins them exactly, and they must not be
# forced on machines where pip installs a CPU build. That is also why hashes are kept apart: pip asks for
# the hash of everything as soon as one package has one, and a torch from elsewhere than PyPI has another.
cuda=(nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft
      nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13
      nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx cuda-bindings cuda-pathfinder cuda-toolkit triton)

sources() { # the given files and what they include with -r
    local file
    for file in "$@"; do
        echo "$file"
        # shellcheck disable=SC2046
        sources $(sed -n 's/^-r //p' "$file")
    done
}
stamp() { # stamp LOCK INPUT...: the line that `scripts.tools.locks` checks
    local lock=$1 files
    shift
    mapfile -t files < <(sources "$@" | awk '!seen[$0]++')
    sed -i "1i # Locked from ${files[*]} (sha256 $(cat "${files[@]}" | sha256sum | cut -c1-16)) by envs/lock.sh" "$lock"
}
compile() {
    uv pip compile -q --no-header --no-annotate "$@"
}
universal() { # universal NAME [OPTIONS]: NAME.in -> NAME.txt
    local name=$1
    shift
    sed -i '/^-e /d' "$name.txt"
    compile --universal --python-version 3.11 "${cuda[@]/#/--no-emit-package=}" "$name.in" -o "$name.txt" "$@"
    stamp "$name.txt" "$name.in"
}
own() { # own NAME...: the executor plugin of this checkout, by its path from the checkout's root
    local name
    for name in "$@"; do
        echo "-e ./envs/executor" >> "$name.txt"
    done
}
universal dev
for stage in sfm train web worker runner local; do
    universal "$stage" -c dev.txt
done

mkdir -p images
options=()
image() { # image NAME INPUT...: the inputs together -> images/NAME.txt
    local name=$1
    shift
    # PyPI carries COLMAP with CUDA under a name of its own; it needs no GPU to be imported.
    sources "$@" | awk '!seen[$0]++' | xargs cat | sed '/^-r/d; s/^pycolmap==/pycolmap-cuda12==/' |
        compile --generate-hashes --python-platform x86_64-manylinux_2_36 --python-version 3.11 \
            -c dev.txt ${options[@]+"${options[@]}"} - -o "images/$name.txt"
    stamp "images/$name.txt" "$@"
}
image build build.in
image sfm sfm.in worker.in
image web web.in worker.in
image runner runner.in
image train train.in worker.in
image kernels kernels.in
# torch without CUDA comes from PyTorch's own index, or from a folder of wheels that pip knows too.
options=(--torch-backend cpu)
[ -z "${PIP_FIND_LINKS:-}" ] || options=(--find-links "$PIP_FIND_LINKS")
image train-cpu train.in worker.in
grep -q '^torch==.*+cpu' images/train-cpu.txt || {
    echo "envs/lock.sh: no torch without CUDA was found; unset PIP_FIND_LINKS to take it from PyTorch's index" >&2
    exit 1
}
own dev local runner

cd ..
python -m scripts.tools.conda_envs
python -m scripts.tools.images
