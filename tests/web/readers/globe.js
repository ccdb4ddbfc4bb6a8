// Draws /tiles/tileset.json with CesiumJS and nothing else: no globe, no sky, no ion, no network.
"use strict";

const state = { ready: false, failed: "" };

async function open() {
    const widget = new Cesium.CesiumWidget("globe", {
        baseLayer: false,
        skyBox: false,
        skyAtmosphere: false,
        scene3DOnly: true,
        showRenderLoopErrors: false,
        contextOptions: { webgl: { preserveDrawingBuffer: true } },
    });
    const scene = widget.scene;
    scene.globe.show = false;
    scene.backgroundColor = Cesium.Color.BLACK;
    scene.screenSpaceCameraController.enableInputs = false;
    scene.renderError.addEventListener((_, error) => { state.failed = String(error); });
    const tileset = await Cesium.Cesium3DTileset.fromUrl("/tiles/tileset.json");
    tileset.tileFailed.addEventListener((failure) => { state.failed = failure.message; });
    scene.primitives.add(tileset);
    Object.assign(state, { scene, tileset, ready: true });
}

// `pose`: 16 numbers, row by row, from OpenGL's camera axes to ECEF; `fov` of the longer side, radians.
function look(pose, fov, error) {
    const { camera } = state.scene;
    const matrix = new Cesium.Matrix4(...pose);
    const column = (n) => Cesium.Cartesian3.fromCartesian4(
        Cesium.Matrix4.getColumn(matrix, n, new Cesium.Cartesian4()));
    const canvas = state.scene.canvas;
    Object.assign(camera.frustum, { fov, near: 0.05, aspectRatio: canvas.clientWidth / canvas.clientHeight });
    camera.position = column(3);
    camera.right = column(0);
    camera.up = column(1);
    camera.direction = Cesium.Cartesian3.negate(column(2), new Cesium.Cartesian3());
    state.tileset.maximumScreenSpaceError = error;
}

// What is on the screen: how many Gaussians, and how many tiles are drawn or still on their way.
function shown() {
    const { tileset, scene } = state;
    return {
        splats: tileset.gaussianSplatPrimitive?._numSplats ?? 0,
        loaded: tileset.tilesLoaded,
        frame: scene.frameState.frameNumber,
        failed: state.failed,
    };
}

// Where CesiumJS itself puts a point of the Earth on the screen, in pixels from the upper left.
function place(x, y, z) {
    const found = Cesium.SceneTransforms.worldToWindowCoordinates(state.scene, new Cesium.Cartesian3(x, y, z));
    return [found.x, found.y];
}

open().catch((error) => { state.failed = String(error.stack ?? error); });
