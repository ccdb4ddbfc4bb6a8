"""Procedural materials (never periodic) and the sky, as Blender shader nodes."""

from __future__ import annotations

import math
from typing import Any

import bpy


class Nodes:
    """A little shorthand for building one node tree."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        tree.nodes.clear()

    def new(self, kind: str, **properties: Any) -> Any:
        """Add a node and set its properties."""
        node = self.tree.nodes.new(kind)
        for key, value in properties.items():
            setattr(node, key, value)
        return node

    def put(self, socket: Any, value: Any) -> None:
        """Connect a socket to another socket, or set its constant value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, a: Any, b: Any = 0.0, clamp: bool = False) -> Any:
        """A math node's output."""
        node = self.new("ShaderNodeMath", operation=operation, use_clamp=clamp)
        self.put(node.inputs[0], a)
        self.put(node.inputs[1], b)
        return node.outputs[0]

    def noise(self, vector: Any, scale: float, detail: float = 3.0, rough: float = 0.6) -> Any:
        """Fractal noise, about 0.5 in the mean."""
        node = self.new("ShaderNodeTexNoise")
        self.put(node.inputs["Vector"], vector)
        node.inputs["Scale"].default_value = scale
        node.inputs["Detail"].default_value = detail
        node.inputs["Roughness"].default_value = rough
        return node.outputs[0]

    def smoothstep(self, value: Any, low: float, high: float) -> Any:
        """0 below ``low``, 1 above ``high``, smooth between."""
        node = self.new("ShaderNodeMapRange", interpolation_type="SMOOTHSTEP")
        self.put(node.inputs["Value"], value)
        node.inputs["From Min"].default_value = low
        node.inputs["From Max"].default_value = high
        return node.outputs["Result"]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        """Mix two colours."""
        node = self.new("ShaderNodeMix", data_type="RGBA", blend_type=blend)
        self.put(node.inputs[0], factor)
        for socket, value in ((node.inputs[6], a), (node.inputs[7], b)):
            constant = isinstance(value, tuple)
            self.put(socket, (*value, 1.0)[:4] if constant else value)
        return node.outputs[2]

    def scale(self, vector: Any, factors: tuple[float, float, float]) -> Any:
        """Multiply a vector by three factors."""
        node = self.new("ShaderNodeVectorMath", operation="MULTIPLY")
        self.put(node.inputs[0], vector)
        node.inputs[1].default_value = factors
        return node.outputs[0]


def surface(
    name: str,
    *,
    layers: tuple[tuple[float, float], ...] = ((1.3, 0.35), (9.0, 0.5), (45.0, 0.5)),
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0),
    stain: tuple[float, float, float] | None = None,
    stain_range: tuple[float, float] = (0.52, 0.68),
    stain_scale: float = 1.7,
    bricks: bool = False,
    fields: bool = False,
    rough: float = 0.85,
    bump: float = 0.3,
    bump_depth: float = 0.012,
    translucent: float = 0.0,
    metallic: float = 0.0,
) -> Any:
    """A material: the faces' tint times layers of noise, with optional stains and bump.

    ``layers`` holds (frequency per metre, strength); ``stretch`` scales the texture coordinate
    first (wood grain: small along x); ``stain`` is a second colour that comes through in patches.
    """
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    n = Nodes(material.node_tree)
    tint = n.new("ShaderNodeAttribute", attribute_name="tint").outputs["Color"]
    local = n.new("ShaderNodeAttribute", attribute_name="local").outputs["Vector"]
    vector = n.scale(local, stretch)
    value: Any = 1.0
    height: Any = 0.0
    for k, (frequency, strength) in enumerate(layers):
        noise = n.noise(vector, frequency, (1.0, 2.0, 1.0)[k])
        centred = n.math("MULTIPLY", n.math("SUBTRACT", noise, 0.5), 2.0 * strength)
        value = n.math("MULTIPLY", value, n.math("ADD", centred, 1.0))
        if k == len(layers) - 1:
            height = noise  # one layer only: bump evaluates its input three times
    colour = n.mix(1.0, tint, value, "MULTIPLY")
    if fields:
        colour = _fields(n, local, colour)
    if bricks:
        colour, height = _peeling_plaster(n, local, colour, height)
    if stain is not None:
        mask = n.smoothstep(n.noise(local, stain_scale, 3.0, 0.7), *stain_range)
        stained = n.mix(1.0, stain, value, "MULTIPLY")
        colour = n.mix(n.math("MULTIPLY", mask, 0.75), colour, stained)
    bsdf = n.new("ShaderNodeBsdfPrincipled")
    n.put(bsdf.inputs["Base Color"], colour)
    bsdf.inputs["Roughness"].default_value = rough
    bsdf.inputs["Metallic"].default_value = metallic
    bsdf.inputs["Specular IOR Level"].default_value = 0.25
    if bump:
        node = n.new("ShaderNodeBump")
        node.inputs["Strength"].default_value = bump
        node.inputs["Distance"].default_value = bump_depth
        n.put(node.inputs["Height"], height)
        n.put(bsdf.inputs["Normal"], node.outputs[0])
    shader = bsdf.outputs[0]
    if translucent:
        other = n.new("ShaderNodeBsdfTranslucent")
        n.put(other.inputs["Color"], colour)
        mixed = n.new("ShaderNodeMixShader")
        mixed.inputs[0].default_value = translucent
        n.put(mixed.inputs[1], shader)
        n.put(mixed.inputs[2], other.outputs[0])
        shader = mixed.outputs[0]
    # Light that bounces sees a plain surface: the detail would cost three times the time.
    plain = n.new("ShaderNodeBsdfDiffuse")
    n.put(plain.inputs["Color"], tint)
    seen = n.new("ShaderNodeLightPath").outputs["Is Camera Ray"]
    choice = n.new("ShaderNodeMixShader")
    n.put(choice.inputs[0], seen)
    n.put(choice.inputs[1], plain.outputs[0])
    n.put(choice.inputs[2], shader)
    n.put(n.new("ShaderNodeOutputMaterial").inputs["Surface"], choice.outputs[0])
    return material


def _peeling_plaster(n: Nodes, local: Any, colour: Any, height: Any) -> tuple[Any, Any]:
    """Let brickwork show through the plaster in irregular patches."""
    part = n.new("ShaderNodeSeparateXYZ")
    n.put(part.inputs[0], local)
    along = n.math("ADD", part.outputs[0], part.outputs[1])
    joined = n.new("ShaderNodeCombineXYZ")
    n.put(joined.inputs[0], along)
    n.put(joined.inputs[1], part.outputs[2])
    warp = n.new("ShaderNodeVectorMath", operation="ADD")
    n.put(warp.inputs[0], joined.outputs[0])
    wobble = n.new("ShaderNodeTexNoise")
    wobble.inputs["Scale"].default_value = 3.0
    n.put(wobble.inputs["Vector"], local)
    n.put(warp.inputs[1], n.scale(wobble.outputs["Color"], (0.05, 0.04, 0.0)))
    brick = n.new("ShaderNodeTexBrick")
    n.put(brick.inputs["Vector"], warp.outputs[0])
    brick.inputs["Color1"].default_value = (0.30, 0.10, 0.055, 1)
    brick.inputs["Color2"].default_value = (0.42, 0.20, 0.11, 1)
    brick.inputs["Mortar"].default_value = (0.42, 0.37, 0.30, 1)
    brick.inputs["Scale"].default_value = 1.0
    brick.inputs["Brick Width"].default_value = 0.25
    brick.inputs["Row Height"].default_value = 0.085
    brick.inputs["Mortar Size"].default_value = 0.011
    grain = n.math("ADD", n.math("MULTIPLY", n.noise(local, 30.0), 0.8), 0.6)
    bricks = n.mix(1.0, brick.outputs["Color"], grain, "MULTIPLY")
    patch = n.noise(local, 0.75, 5.0, 0.62)
    low = n.math("MULTIPLY", n.smoothstep(part.outputs[2], 1.3, 0.0), 0.10)
    patch = n.math("ADD", patch, low)
    mask = n.smoothstep(patch, 0.575, 0.60)
    rim = n.math("SUBTRACT", n.smoothstep(patch, 0.555, 0.575), mask)
    colour = n.mix(n.math("MULTIPLY", rim, 0.4), colour, (0.62, 0.56, 0.46))
    colour = n.mix(mask, colour, bricks)
    height = n.math("ADD", height, n.math("MULTIPLY", n.math("SUBTRACT", 1.0, mask), 2.0))
    joints = n.math("MULTIPLY", n.math("MULTIPLY", brick.outputs["Fac"], mask), -1.0)
    return colour, n.math("ADD", height, joints)


def _fields(n: Nodes, local: Any, colour: Any) -> Any:
    """Meadows, dry grass and bare earth for the land around the yard."""
    big = n.noise(local, 0.09, 4.0)
    colour = n.mix(n.smoothstep(big, 0.48, 0.62), colour, (0.23, 0.20, 0.075))
    mid = n.noise(local, 0.55, 5.0)
    colour = n.mix(
        n.math("MULTIPLY", n.smoothstep(mid, 0.55, 0.68), 0.7), colour, (0.26, 0.18, 0.10)
    )
    fine = n.math("ADD", n.math("MULTIPLY", n.noise(local, 5.0, 5.0, 0.7), 1.0), 0.5)
    return n.mix(1.0, colour, fine, "MULTIPLY")


def sky(elevation: float, rotation: float, strength: float) -> None:
    """A physical sky with its sun, and thin clouds of noise."""
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    n = Nodes(world.node_tree)
    air = n.new("ShaderNodeTexSky", sky_type="MULTIPLE_SCATTERING")
    air.sun_elevation = math.radians(elevation)
    air.sun_rotation = math.radians(rotation)
    air.sun_size = math.radians(1.2)
    air.sun_intensity = 0.8
    air.aerosol_density = 0.6
    air.altitude = 300.0
    coordinate = n.new("ShaderNodeTexCoord").outputs["Generated"]
    part = n.new("ShaderNodeSeparateXYZ")
    n.put(part.inputs[0], coordinate)
    above = n.math("MAXIMUM", n.math("ADD", part.outputs[2], 0.12), 0.05)
    plane = n.new("ShaderNodeCombineXYZ")
    n.put(plane.inputs[0], n.math("DIVIDE", part.outputs[0], above))
    n.put(plane.inputs[1], n.math("DIVIDE", part.outputs[1], above))
    cloud = n.smoothstep(n.noise(plane.outputs[0], 0.8, 7.0, 0.55), 0.48, 0.72)
    fade = n.smoothstep(part.outputs[2], 0.0, 0.18)
    cloud = n.math("MULTIPLY", n.math("MULTIPLY", cloud, fade), 0.75)
    white = n.new("ShaderNodeRGB")
    white.outputs[0].default_value = (9.0, 9.2, 9.6, 1.0)
    cloudy = n.mix(cloud, air.outputs[0], white.outputs[0])
    # Clouds are for the eye only: lighting comes from the clear sky and its sun (much faster).
    choice = n.new("ShaderNodeMixShader")
    n.put(choice.inputs[0], n.new("ShaderNodeLightPath").outputs["Is Camera Ray"])
    for k, colour in enumerate((air.outputs[0], cloudy)):
        background = n.new("ShaderNodeBackground")
        background.inputs["Strength"].default_value = strength
        n.put(background.inputs["Color"], colour)
        n.put(choice.inputs[1 + k], background.outputs[0])
    n.put(n.new("ShaderNodeOutputWorld").inputs["Surface"], choice.outputs[0])
