"""Eight floats side by side as one value inside numba kernels.

LLVM's own vectoriser gives up silently over small changes to a loop, which costs a factor of four.
Here the vectors are spelt out, and LLVM turns them into what the processor has (AVX-512, AVX2, SSE,
NEON). Operators and functions below exist only inside compiled code.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, register_model

WIDTH = 8
_FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
_INTS = ir.VectorType(ir.IntType(32), WIDTH)
_BITS = ir.VectorType(ir.IntType(1), WIDTH)


class _LanesType(types.Type):
    """WIDTH float32."""

    def __init__(self) -> None:
        super().__init__(name=f"lanes{WIDTH}")


class _MaskType(types.Type):
    """WIDTH truth values."""

    def __init__(self) -> None:
        super().__init__(name=f"mask{WIDTH}")


lanes_type, mask_type = _LanesType(), _MaskType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BITS)


def _constant(value: float) -> ir.Constant:
    # LLVM wants a float constant that float32 can hold exactly.
    return ir.Constant(_FLOATS, [ir.Constant(ir.FloatType(), float(np.float32(value)))] * WIDTH)


def _whole(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [ir.Constant(ir.IntType(32), value)] * WIDTH)


def _splat(context: Any, builder: ir.IRBuilder, value: Any, kind: Any) -> Any:
    """The operand as lanes: scalars are repeated."""
    if kind == lanes_type:
        return value
    scalar = context.cast(builder, value, kind, types.float32)
    single = builder.insert_element(
        ir.Constant(_FLOATS, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    return builder.shuffle_vector(single, ir.Constant(_FLOATS, ir.Undefined), _whole(0))


def _operator(symbol: Any, result: Any, emit: Any) -> None:
    """Let `symbol` work between lanes, and between lanes and a number on either side."""

    @infer_global(symbol)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, _keywords: Any) -> Any:
            kinds = (_LanesType, types.Float, types.Integer)
            if lanes_type in args and all(isinstance(arg, kinds) for arg in args):
                return signature(result, *args)
            return None

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        left = _splat(context, builder, args[0], sig.args[0])
        right = _splat(context, builder, args[1], sig.args[1])
        return emit(builder, left, right)

    for other in (_LanesType, types.Float, types.Integer):
        lower_builtin(symbol, _LanesType, other)(build)
        if other is not _LanesType:
            lower_builtin(symbol, other, _LanesType)(build)


for _symbol in (operator.add, operator.iadd):
    _operator(_symbol, lanes_type, lambda b, x, y: b.fadd(x, y))
for _symbol in (operator.sub, operator.isub):
    _operator(_symbol, lanes_type, lambda b, x, y: b.fsub(x, y))
for _symbol in (operator.mul, operator.imul):
    _operator(_symbol, lanes_type, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, lanes_type, lambda b, x, y: b.fdiv(x, y))
_operator(operator.lt, mask_type, lambda b, x, y: b.fcmp_ordered("<", x, y))
_operator(operator.le, mask_type, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_operator(operator.gt, mask_type, lambda b, x, y: b.fcmp_ordered(">", x, y))
_operator(operator.ge, mask_type, lambda b, x, y: b.fcmp_ordered(">=", x, y))


@intrinsic
def spread(_typing: Any, value: Any) -> Any:
    """The scalar in every lane."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _splat(context, builder, args[0], sig.args[0])

    return lanes_type(value), build


@intrinsic
def steps(_typing: Any) -> Any:
    """0, 1, 2 ... in the lanes."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return ir.Constant(_FLOATS, [ir.Constant(ir.FloatType(), float(i)) for i in range(WIDTH)])

    return lanes_type(), build


@intrinsic
def select(_typing: Any, mask: Any, yes: Any, no: Any) -> Any:
    """`yes` where the mask holds, `no` elsewhere; either may be a scalar."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        left = _splat(context, builder, args[1], sig.args[1])
        right = _splat(context, builder, args[2], sig.args[2])
        return builder.select(args[0], left, right)

    return lanes_type(mask, yes, no), build


@intrinsic
def some(_typing: Any, mask: Any) -> Any:
    """Whether the mask holds in any lane."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        whole = ir.IntType(WIDTH)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], whole), ir.Constant(whole, 0))

    return types.boolean(mask), build


def _pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, place: Any) -> Any:
    view = context.make_array(kind)(context, builder, array)
    address = builder.gep(view.data, [place])
    return builder.bitcast(address, _FLOATS.as_pointer())


@intrinsic
def load(_typing: Any, array: Any, place: Any) -> Any:
    """WIDTH neighbours of a flat contiguous float32 array, from index `place`."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        place = context.cast(builder, args[1], sig.args[1], types.int64)
        address = _pointer(context, builder, sig.args[0], args[0], place)
        return builder.load(address, align=4)

    return lanes_type(array, place), build


@intrinsic
def store(_typing: Any, array: Any, place: Any, value: Any) -> Any:
    """Write the lanes to a flat contiguous float32 array, from index `place`."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        place = context.cast(builder, args[1], sig.args[1], types.int64)
        address = _pointer(context, builder, sig.args[0], args[0], place)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, place, value), build


def _call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(args))
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, args)


@intrinsic
def least(_typing: Any, a: Any, b: Any) -> Any:
    """The smaller of each pair of lanes."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        left = _splat(context, builder, args[0], sig.args[0])
        right = _splat(context, builder, args[1], sig.args[1])
        return builder.select(builder.fcmp_ordered("<", left, right), left, right)

    return lanes_type(a, b), build


@intrinsic
def most(_typing: Any, a: Any, b: Any) -> Any:
    """The larger of each pair of lanes."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        left = _splat(context, builder, args[0], sig.args[0])
        right = _splat(context, builder, args[1], sig.args[1])
        return builder.select(builder.fcmp_ordered(">", left, right), left, right)

    return lanes_type(a, b), build


@intrinsic
def root(_typing: Any, a: Any) -> Any:
    """Square roots."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{WIDTH}f32", args[0])

    return lanes_type(a), build


@intrinsic
def between(_typing: Any, array: Any, start: Any, width: Any, x: Any, y: Any) -> Any:
    """Bilinear values at the lanes' x and y (not negative) of a picture in a flat float32 array.

    Its first pixel stands at index `start`, and `width` are in a row. The pixels right of and below the one
    that x and y lie in are read as well.
    """

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        start, row = (context.cast(builder, args[k], sig.args[k], types.int64) for k in (1, 2))
        left, top = builder.fptosi(args[3], _INTS), builder.fptosi(args[4], _INTS)
        right_part = builder.fsub(args[3], builder.sitofp(left, _FLOATS))
        lower_part = builder.fsub(args[4], builder.sitofp(top, _FLOATS))
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        corners = [ir.Constant(_FLOATS, ir.Undefined)] * 4
        for lane in range(WIDTH):
            number = ir.Constant(ir.IntType(32), lane)
            across, down = (
                builder.sext(builder.extract_element(place, number), ir.IntType(64))
                for place in (left, top)
            )
            upper = builder.add(builder.add(start, across), builder.mul(down, row))
            for k, shift in enumerate((upper, builder.add(upper, row))):
                for one in (0, 1):
                    place = builder.add(shift, ir.Constant(ir.IntType(64), one))
                    value = builder.load(builder.gep(data, [place]), align=4)
                    corners[2 * k + one] = builder.insert_element(
                        corners[2 * k + one], value, number
                    )
        a, b, c, d = corners
        above = builder.fadd(a, builder.fmul(right_part, builder.fsub(b, a)))
        below = builder.fadd(c, builder.fmul(right_part, builder.fsub(d, c)))
        return builder.fadd(above, builder.fmul(lower_part, builder.fsub(below, above)))

    return lanes_type(array, start, width, x, y), build


@intrinsic
def magnitude(_typing: Any, a: Any) -> Any:
    """Absolute values."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.fabs.v{WIDTH}f32", args[0])

    return lanes_type(a), build


@intrinsic
def total(_typing: Any, a: Any) -> Any:
    """Sum of the lanes, halves first: always in the same order."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        value, width = args[0], WIDTH
        none = ir.Constant(_FLOATS, ir.Undefined)
        while width > 1:
            width //= 2
            picks = [(i + width) % WIDTH for i in range(WIDTH)]
            order = ir.Constant(_INTS, [ir.Constant(ir.IntType(32), i) for i in picks])
            value = builder.fadd(value, builder.shuffle_vector(value, none, order))
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(a), build


# 2^f on -0.5..0.5 by a polynomial with the least maximum relative error, 7.5e-8
_EXP2 = (1.00000007, 0.69314697, 0.24022120, 0.055507133, 0.0096755414, 0.0013276472)


@intrinsic
def exp2(_typing: Any, a: Any) -> Any:
    """2 to the power of each lane, for exponents of -126 to 126; relative error 3e-7."""

    def build(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        x = args[0]
        # Adding and taking away 1.5 * 2^23 rounds to a whole number, which then stands in the
        # low bits of the sum.
        magic = _constant(12582912.0)
        shifted = builder.fadd(x, magic)
        fraction = builder.fsub(x, builder.fsub(shifted, magic))
        value = _constant(_EXP2[-1])
        for coefficient in reversed(_EXP2[:-1]):
            product = builder.fmul(value, fraction)
            value = builder.fadd(product, _constant(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, _INTS), _whole(23))
        return builder.bitcast(builder.add(builder.bitcast(value, _INTS), exponent), _FLOATS)

    return lanes_type(a), build
