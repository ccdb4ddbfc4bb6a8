"""The sample scene of the tests: a small courtyard, modelled and rendered with Blender's bpy."""
