"""The two largest products of every descriptor with those of another photo, compiled for this processor.

A product of two matrices of 8-bit numbers is what VNNI instructions are for: 64 products and their sums in
one, four times what single precision has. They are spelt out in LLVM's language, because neither numpy nor
LLVM's own vectoriser comes to them. The largest products are kept while a tile of products is in registers,
so the matrix of all products, 16 million numbers for two photos, never exists.

Everything is in whole numbers: the results are exact, and the same as those of any other exact way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]
LENGTH = 128  # numbers of a descriptor
STEPS = LENGTH // 4  # an instruction sums four products in each lane
CHUNK_BYTES = 24 * 1024  # of columns, which every tile of rows reads again: half of the first cache


@dataclass(frozen=True)
class Shape:
    """Registers of a processor: of `lanes` 32-bit numbers, and `rows` by `vectors` of them hold sums."""

    lanes: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return self.lanes * self.vectors


# Of 32 registers 24 hold sums, of 16 registers 12; the rest holds rows and columns.
AVX512, AVX2 = Shape(16, 12, 2), Shape(8, 6, 2)


@dataclass(frozen=True)
class Packed:
    """Descriptors of one photo as the kernel reads them, padded with zeros, whose products are zero.

    As rows: (rows, 128) unsigned, and 128 times the sum of each row. As columns: signed, which is less 128,
    as (tiles, STEPS, columns of a tile, 4).
    """

    count: int
    rows: Bytes
    sums: Whole
    columns: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Kernel:
    """Machine code, and the registers it was made for; safe to call from several threads at once."""

    shape: Shape
    function: Callable[..., None]
    engine: object  # owns the machine code

    def pack(self, descriptors: Bytes) -> Packed:
        """Arrange descriptors (N, 128)."""
        count = len(descriptors)
        rows = np.zeros((_up(count, self.shape.rows), LENGTH), np.uint8)
        rows[:count] = descriptors
        columns = np.zeros((_up(count, self.shape.columns), LENGTH), np.uint8)
        columns[:count] = descriptors
        tiles = (columns ^ 128).view(np.int8).reshape(-1, self.shape.columns, STEPS, 4)
        return Packed(
            count,
            rows,
            128 * rows.sum(axis=1, dtype=np.int32),
            np.ascontiguousarray(tiles.transpose(0, 2, 1, 3)),
        )

    def best(self, one: Packed, other: Packed) -> tuple[Whole, Whole]:
        """Largest and second largest product, at least 0, of each row (2, N); of each column the same and
        the first row that has the largest one (3, M)."""
        lanes = np.zeros((2, len(one.rows), self.shape.lanes), np.int32)
        rows = np.zeros((2, len(one.rows)), np.int32)
        columns = np.zeros((3, len(other.columns) * self.shape.columns), np.int32)
        if one.count and other.count:
            arrays = (one.rows, one.sums, other.columns, *lanes, *rows, *columns)
            self.function(
                *(array.ctypes.data for array in arrays),
                len(one.rows) // self.shape.rows,
                len(other.columns),
                max(1, CHUNK_BYTES // (self.shape.columns * LENGTH)),
            )
        return rows[:, : one.count], columns[:, : other.count]


@cache
def host_kernel() -> Kernel | None:
    """The kernel for this processor; None where the instructions, or llvmlite, are missing."""
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return None
    try:
        shape = usable_shape(llvm.get_host_cpu_features())
    except RuntimeError:  # a processor of which LLVM knows nothing
        return None
    return None if shape is None else compile_kernel(shape)


def usable_shape(features: Mapping[str, bool]) -> Shape | None:
    """The registers of a processor with these features; None without products of 8-bit numbers."""
    if features.get("avx512vnni"):
        return AVX512
    return AVX2 if features.get("avxvnni") else None


def compile_kernel(shape: Shape) -> Kernel:
    """Compile for this processor, which must have the instructions (some milliseconds)."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(_assembly(shape, llvm.llvm_version_info[0]))
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 10, *[ctypes.c_int64] * 3)
    return Kernel(shape, kind(engine.get_function_address("best_products")), engine)


def _up(count: int, step: int) -> int:
    """`count`, rounded up to a multiple of `step`."""
    return -(-count // step) * step


# Tiles of rows go through a chunk of columns that stays in the first cache. `tile` sums the products
# of one tile and takes them into the largest ones of its rows (in each lane) and of its columns.
FRAME = """
define void @best_products(ptr %rows, ptr %sums, ptr %columns, ptr %lane_best, ptr %lane_second,
    ptr %row_best, ptr %row_second, ptr %col_best, ptr %col_second, ptr %col_row,
    i64 %row_tiles, i64 %col_tiles, i64 %chunk) {{
entry:
  br label %chunks
chunks:
  %from = phi i64 [0, %entry], [%to, %chunk_end]
  %wanted = add i64 %from, %chunk
  %short = icmp slt i64 %wanted, %col_tiles
  %to = select i1 %short, i64 %wanted, i64 %col_tiles
  br label %tiles
tiles:
  %i = phi i64 [0, %chunks], [%i_next, %tiles_end]
  %first = mul i64 %i, {R}
  %a_at = mul i64 %i, {A_BYTES}
  %a = getelementptr i8, ptr %rows, i64 %a_at
  br label %tile
tile:
  %j = phi i64 [%from, %tiles], [%j_next, %tile_end]
  %b_at = mul i64 %j, {B_BYTES}
  %b = getelementptr i8, ptr %columns, i64 %b_at
  %column = mul i64 %j, {C}
{begin}
  br label %step
step:
  %k = phi i64 [0, %tile], [%k_next, %step]
{sums_phi}
{products}
  %k_next = add i64 %k, 1
  %more_k = icmp slt i64 %k_next, {STEPS}
  br i1 %more_k, label %step, label %tile_end
tile_end:
{largest}
  %j_next = add i64 %j, 1
  %more_j = icmp slt i64 %j_next, %to
  br i1 %more_j, label %tile, label %tiles_end
tiles_end:
  %i_next = add i64 %i, 1
  %more_i = icmp slt i64 %i_next, %row_tiles
  br i1 %more_i, label %tiles, label %chunk_end
chunk_end:
  %more = icmp slt i64 %to, %col_tiles
  br i1 %more, label %chunks, label %lanes
lanes:
  %count = mul i64 %row_tiles, {R}
  br label %lane
lane:
  %r = phi i64 [0, %lanes], [%r_next, %lane]
  %l_at = mul i64 %r, {L}
  %lb_at = getelementptr i32, ptr %lane_best, i64 %l_at
  %ls_at = getelementptr i32, ptr %lane_second, i64 %l_at
  %lb = load {V}, ptr %lb_at, align 4
  %ls = load {V}, ptr %ls_at, align 4
  %best = call i32 @llvm.vector.reduce.smax.v{L}i32({V} %lb)
  %best_one = insertelement {V} poison, i32 %best, i64 0
  %best_all = shufflevector {V} %best_one, {V} poison, <{L} x i32> zeroinitializer
  %equal = icmp eq {V} %lb, %best_all
  %rest = select <{L} x i1> %equal, {V} %ls, {V} %lb
  %rest_best = call i32 @llvm.vector.reduce.smax.v{L}i32({V} %rest)
  %bits = bitcast <{L} x i1> %equal to i{L}
  %few = sub i{L} %bits, 1
  %others = and i{L} %bits, %few
  %single = icmp eq i{L} %others, 0
  %second = select i1 %single, i32 %rest_best, i32 %best
  %rb_at = getelementptr i32, ptr %row_best, i64 %r
  %rs_at = getelementptr i32, ptr %row_second, i64 %r
  store i32 %best, ptr %rb_at, align 4
  store i32 %second, ptr %rs_at, align 4
  %r_next = add i64 %r, 1
  %more_r = icmp slt i64 %r_next, %count
  br i1 %more_r, label %lane, label %done
done:
  ret void
}}
declare {V} @llvm.smax.v{L}i32({V}, {V})
declare {V} @llvm.smin.v{L}i32({V}, {V})
declare i32 @llvm.vector.reduce.smax.v{L}i32({V})
"""


class _Writer:
    """Writes the parts of the kernel that repeat for every row and vector of its registers."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.lines = shape, list[str]()
        self.whole = f"<{shape.lanes} x i32>"

    def add(self, *lines: str) -> None:
        """Instructions as they are."""
        self.lines += [f"  {line}" for line in lines]

    def address(self, name: str, kind: str, base: str, index: str, plus: int) -> None:
        """Name = &base[index + plus]."""
        self.add(f"%{name}_i = add i64 {index}, {plus}")
        self.add(f"%{name} = getelementptr {kind}, ptr {base}, i64 %{name}_i")

    def splat(self, name: str, value: str) -> None:
        """Name = `value` in every lane."""
        zeros = f"<{self.shape.lanes} x i32> zeroinitializer"
        self.add(f"%{name}_one = insertelement {self.whole} poison, i32 {value}, i64 0")
        self.add(f"%{name} = shufflevector {self.whole} %{name}_one, {self.whole} poison, {zeros}")

    def larger(self, name: str, function: str, one: str, two: str) -> None:
        """Name = the larger (smax) or smaller (smin) of each pair of lanes."""
        call = f"call {self.whole} @llvm.{function}.v{self.shape.lanes}i32"
        self.add(f"%{name} = {call}({self.whole} {one}, {self.whole} {two})")

    def text(self) -> str:
        """All instructions."""
        return "\n".join(self.lines)


def _begin(shape: Shape) -> str:
    """What the sums of a tile begin with."""
    to = _Writer(shape)
    for r in range(shape.rows):
        to.address(f"sum_at{r}", "i32", "%sums", "%first", r)
        to.add(f"%sum{r} = load i32, ptr %sum_at{r}, align 4")
        to.splat(f"start{r}", f"%sum{r}")
    return to.text()


def _sums(shape: Shape) -> str:
    """The sums, one vector each."""
    to = _Writer(shape)
    for r in range(shape.rows):
        for v in range(shape.vectors):
            to.add(f"%s{r}_{v} = phi {to.whole} [%start{r}, %tile], [%t{r}_{v}, %step]")
    return to.text()


def _products(shape: Shape, name: str, kind: str) -> str:
    """One step: four bytes of every row times four of every column, added to the sums."""
    to = _Writer(shape)
    to.add("%k_a = mul i64 %k, 4", f"%k_b = mul i64 %k, {4 * shape.columns}")
    for v in range(shape.vectors):
        to.address(f"b_at{v}", "i8", "%b", "%k_b", 4 * shape.lanes * v)
        to.add(f"%b{v} = load {kind}, ptr %b_at{v}, align 4")
    for r in range(shape.rows):
        to.address(f"a_at{r}", "i8", "%a", "%k_a", LENGTH * r)
        to.add(f"%a{r} = load i32, ptr %a_at{r}, align 4")
        to.splat(f"aw{r}", f"%a{r}")
        to.add(f"%av{r} = bitcast {to.whole} %aw{r} to {kind}")
        for v in range(shape.vectors):
            given = f"{to.whole} %s{r}_{v}, {kind} %av{r}, {kind} %b{v}"
            to.add(f"%t{r}_{v} = call {to.whole} @{name}({given})")
    return to.text()


def _largest(shape: Shape) -> str:
    """The largest two products so far of every row, by lane, and of every column, with its row."""
    to, lanes, vectors = _Writer(shape), shape.lanes, shape.vectors
    of_column = [(v, what) for v in range(vectors) for what in ("best", "second", "row")]
    for v, what in of_column:
        to.address(f"c{what}_at{v}", "i32", f"%col_{what}", "%column", lanes * v)
        to.add(f"%c{what}0_{v} = load {to.whole}, ptr %c{what}_at{v}, align 4")
    to.add(f"%lane_of = mul i64 %first, {lanes}", "%first_row = trunc i64 %first to i32")
    for r in range(shape.rows):
        for what in ("best", "second"):
            to.address(f"l{what}_at{r}", "i32", f"%lane_{what}", "%lane_of", lanes * r)
            to.add(f"%l{what}{r}_0 = load {to.whole}, ptr %l{what}_at{r}, align 4")
        to.add(f"%row{r} = add i32 %first_row, {r}")
        to.splat(f"rowv{r}", f"%row{r}")
        for v in range(vectors):
            _larger_of(to, r, v)
        for what in ("best", "second"):
            to.add(f"store {to.whole} %l{what}{r}_{vectors}, ptr %l{what}_at{r}, align 4")
    for v, what in of_column:
        to.add(f"store {to.whole} %c{what}{shape.rows}_{v}, ptr %c{what}_at{v}, align 4")
    return to.text()


def _larger_of(to: _Writer, r: int, v: int) -> None:
    """Compare the products of row r and vector v with the largest so far, of the row and the columns."""
    product = f"%t{r}_{v}"
    for side, old, new in (("l", f"{r}_{v}", f"{r}_{v + 1}"), ("c", f"{r}_{v}", f"{r + 1}_{v}")):
        to.larger(f"{side}min{r}_{v}", "smin", f"%{side}best{old}", product)
        to.larger(f"{side}second{new}", "smax", f"%{side}second{old}", f"%{side}min{r}_{v}")
        to.larger(f"{side}best{new}", "smax", f"%{side}best{old}", product)
    to.add(f"%new{r}_{v} = icmp sgt {to.whole} {product}, %cbest{r}_{v}")
    choice = f"<{to.shape.lanes} x i1> %new{r}_{v}, {to.whole} %rowv{r}, {to.whole} %crow{r}_{v}"
    to.add(f"%crow{r + 1}_{v} = select {choice}")


def _assembly(shape: Shape, version: int) -> str:
    """The kernel in the language of this version of LLVM."""
    whole = f"<{shape.lanes} x i32>"
    # The instruction takes unsigned rows and signed columns. Columns are less 128, and the sums begin
    # with what that takes away.
    name = f"llvm.x86.avx512.vpdpbusd.{32 * shape.lanes}"
    kind = whole if version < 22 else f"<{4 * shape.lanes} x i8>"
    body = FRAME.format(
        R=shape.rows,
        C=shape.columns,
        L=shape.lanes,
        V=whole,
        STEPS=STEPS,
        A_BYTES=shape.rows * LENGTH,
        B_BYTES=shape.columns * LENGTH,
        begin=_begin(shape),
        sums_phi=_sums(shape),
        products=_products(shape, name, kind),
        largest=_largest(shape),
    )
    return f"{body}declare {whole} @{name}({whole}, {kind}, {kind})\n"
