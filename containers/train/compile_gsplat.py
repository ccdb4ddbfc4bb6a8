"""Compile gsplat's CUDA kernels from the sources that its wheel carries: `compile_gsplat.py OUTPUT_FOLDER`.

gsplat's wheel has no binary: left alone it compiles on first use, which takes minutes and needs nvcc. Its
`gsplat.cuda._backend` first tries `from gsplat import csrc`; this makes that module, for the GPU generations
of TORCH_CUDA_ARCH_LIST, with the flags of gsplat's own build. CUDA_HOME must hold nvcc and CUDA's headers.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension


def main() -> None:
    """Leave `gsplat/csrc.*.so` under the folder given as the only argument."""
    (output,) = sys.argv[1:]
    spec = importlib.util.find_spec(
        "gsplat"
    )  # found, not imported: the import would start the compiler
    assert spec is not None and spec.origin is not None
    cuda = Path(spec.origin).parent / "cuda"
    sources = [*cuda.glob("csrc/*.cu"), *cuda.glob("csrc/*.cpp"), cuda / "ext.cpp"]
    # The longest first, so that none is left for the end when every other job is done.
    sources.sort(key=lambda path: (path.suffix != ".cu", "Rasterize" not in path.name, path.name))
    setup(
        name="gsplat-csrc",
        packages=[],
        ext_modules=[
            CUDAExtension(
                "gsplat.csrc",
                [str(path) for path in sources],
                include_dirs=[str(cuda / "include"), str(cuda / "csrc" / "third_party" / "glm")],
                extra_compile_args={
                    "cxx": ["-O3", "-Wno-attributes"],
                    "nvcc": ["-O3", "-use_fast_math"],
                },
                extra_link_args=["-s", f"-L{os.environ['CUDA_HOME']}/lib"],
            )
        ],
        cmdclass={"build_ext": BuildExtension},
        script_args=["build_ext", "--build-temp", f"{output}/objects", "--build-lib", output],
    )


if __name__ == "__main__":
    main()
