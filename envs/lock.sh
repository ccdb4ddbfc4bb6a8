#!/usr/bin/env bash
# Rewrites every envs/<stage>.txt from envs/<stage>.in. dev.txt is resolved first and constrains the rest,
# so one package has one version everywhere. torch's own CUDA packages are left to pip: torch pins them
# exactly, and they must not be forced on machines where pip installs a CPU build.
set -euo pipefail
cd "$(dirname "$0")"
skip=()
for name in nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft \
            nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 \
            nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx cuda-bindings cuda-pathfinder cuda-toolkit triton; do
    skip+=(--no-emit-package "$name")
done
compile() {
    uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate "${skip[@]}" "$@"
}
compile dev.in -o dev.txt
for stage in sfm train web runner local; do
    compile "$stage.in" -c dev.txt -o "$stage.txt"
done
