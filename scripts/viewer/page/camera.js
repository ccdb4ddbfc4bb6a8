// The splat's frame, the camera, and the limits that keep a visitor from getting lost.
'use strict';

((page) => {
    const { config } = page;
    const FLOOR_LOOK = 1e-3; // a camera never sits exactly on what it looks at
    let held = null; // the fixed camera, or null while the visitor steers

    // Ours is Z up, the viewer's Y up: a quarter turn about X takes (x, y, z) to (x, z, -y). The
    // viewer itself would turn the splat half about Z, which suits files in camera axes.
    const turn = ([x, y, z]) => [x, z, -y];
    page.toViewer = turn;
    page.fromViewer = ({ x, y, z }) => [x, -z, y];

    page.uprightOnArrival = (app) => {
        app.root.on('childinsert', (node) => {
            if (node.name === 'gsplat') node.setLocalEulerAngles(-90, 0, 0);
        });
    };

    // Quaternion (x, y, z, w) of the rotation whose columns are the given unit vectors.
    const quaternion = (a, b, c) => {
        const trace = a[0] + b[1] + c[2];
        if (trace > 0) {
            const s = 2 * Math.sqrt(trace + 1);
            return [(b[2] - c[1]) / s, (c[0] - a[2]) / s, (a[1] - b[0]) / s, s / 4];
        }
        if (a[0] > b[1] && a[0] > c[2]) {
            const s = 2 * Math.sqrt(1 + a[0] - b[1] - c[2]);
            return [s / 4, (b[0] + a[1]) / s, (c[0] + a[2]) / s, (b[2] - c[1]) / s];
        }
        if (b[1] > c[2]) {
            const s = 2 * Math.sqrt(1 + b[1] - a[0] - c[2]);
            return [(b[0] + a[1]) / s, s / 4, (c[1] + b[2]) / s, (c[0] - a[2]) / s];
        }
        const s = 2 * Math.sqrt(1 + c[2] - a[0] - b[1]);
        return [(c[0] + a[2]) / s, (c[1] + b[2]) / s, s / 4, (a[1] - b[0]) / s];
    };

    // world_to_camera (16 numbers, row-major; x right, y down, z forward) as a camera of the viewer,
    // which looks along -z with y up.
    const cameraOf = (matrix, fov) => {
        const numbers = [...matrix].map(Number);
        if (numbers.length !== 16 || !numbers.every(Number.isFinite) || !(fov > 0 && fov < 180)) {
            throw new Error('a pose is 16 numbers and a vertical field of view in degrees');
        }
        const row = (i) => numbers.slice(4 * i, 4 * i + 3);
        const [right, down, forward] = [row(0), row(1), row(2)];
        const t = [numbers[3], numbers[7], numbers[11]];
        const position = [0, 1, 2].map((i) => -(right[i] * t[0] + down[i] * t[1] + forward[i] * t[2]));
        const negated = (v) => v.map((value) => -value);
        return {
            position: turn(position),
            forward: turn(forward),
            rotation: quaternion(turn(right), turn(negated(down)), turn(negated(forward))),
            fov
        };
    };

    page.setPose = (matrix, fov) => {
        held = matrix ? cameraOf(matrix, fov) : null;
        page.redraw();
    };
    page.isHeld = () => held !== null;

    const hold = (app) => {
        const camera = app.root.findByName('camera');
        camera.setPosition(...held.position);
        camera.setRotation(...held.rotation);
        camera.camera.horizontalFov = false;
        camera.camera.fov = held.fov;
        const splat = app.root.findByName('gsplat');
        const box = splat?.gsplat?.customAabb;
        if (!box) return;
        const centre = turn([box.center.x, box.center.y, box.center.z]);
        const depth = [0, 1, 2].reduce(
            (sum, i) => sum + (centre[i] - held.position[i]) * held.forward[i],
            0
        );
        const radius = box.halfExtents.length();
        const far = Math.max(depth + radius, 1e-2);
        camera.camera.farClip = far;
        camera.camera.nearClip = Math.min(1, Math.max(depth - radius, far / 16384));
    };

    // ---- limits --------------------------------------------------------------------------------

    // Height of the ground under (x, y) of our frame, blended between the grid's cells.
    page.groundAt = (x, y) => {
        const { ground } = config.limits;
        const rows = ground.heights.length / ground.columns;
        const place = (value, count) => Math.max(0, Math.min(count - 1.001, value));
        const u = place((x - ground.x) / ground.step, ground.columns);
        const v = place((y - ground.y) / ground.step, rows);
        const [i, j] = [Math.floor(u), Math.floor(v)];
        const at = (column, row) =>
            ground.heights[
                Math.min(row, rows - 1) * ground.columns + Math.min(column, ground.columns - 1)
            ];
        const [s, t] = [u - i, v - j];
        return (
            (1 - t) * ((1 - s) * at(i, j) + s * at(i + 1, j)) +
            t * ((1 - s) * at(i, j + 1) + s * at(i + 1, j + 1))
        );
    };

    // The nearest point of our frame at which a camera may be: `above` the ground, within the cylinder.
    const allowed = ([x, y, z], above) => {
        const { centre, radius, top } = config.limits;
        const away = Math.hypot(x - centre[0], y - centre[1]);
        const pull = away > radius ? radius / away : 1;
        const inside = [centre[0] + (x - centre[0]) * pull, centre[1] + (y - centre[1]) * pull];
        return [...inside, Math.min(top, Math.max(z, page.groundAt(...inside) + above))];
    };

    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

    // Keep the visitor's camera inside: the border stops it as a wall would, and what it looks at
    // stays in the picture. Runs after the viewer has moved its camera.
    const keepInside = () => {
        const { cameras, viewer } = page;
        const mode = viewer.state.cameraMode;
        // A walker is held by walls and floors.
        if (!config.limits || !cameras || mode === 'anim' || mode === 'walk') return;
        const { camera } = cameras;
        const position = page.fromViewer(camera.position);
        let wanted = position;
        const focus = camera.position.clone();
        if (mode === 'orbit') {
            camera.calcFocusPoint(focus);
            const looked = page.fromViewer(focus);
            const near = allowed(looked, -config.limits.margin);
            wanted = position.map((value, i) => value + near[i] - looked[i]);
            focus.set(...turn(near));
        }
        wanted = allowed(wanted, config.limits.margin);
        const tolerance = 1e-4 * config.limits.radius;
        if (apart(wanted, position) < tolerance) return;
        const place = camera.position.clone().set(...turn(wanted));
        if (mode === 'orbit' && place.distance(focus) > FLOOR_LOOK) camera.look(place, focus);
        else camera.position.copy(place);
        const entity = viewer.app.root.findByName('camera');
        entity.setPosition(camera.position);
        entity.setEulerAngles(camera.angles);
        // A move of the viewer's own is on its way: it goes on, seen from where it may be seen.
        if (cameras.transitionProgress() === 1) cameras.snap();
        page.bumped = (page.bumped ?? 0) + 1;
    };

    page.steerCamera = (app) => {
        app.on('update', () => {
            if (held) hold(app);
            else if (page.viewer?.state.loaded) keepInside();
        });
    };

    // Go to a camera of our frame: gently, or at once for those who asked for less motion.
    page.goTo = (position, target, fov, instantly = page.calm()) => {
        const { cameras, viewer } = page;
        const initial = { position: turn(position), target: turn(target), fov };
        if (instantly) {
            const { camera } = cameras;
            const place = camera.position.clone().set(...initial.position);
            camera.look(place, camera.position.clone().set(...initial.target));
            camera.fov = fov;
            viewer.state.cameraMode = 'orbit';
            cameras.snap();
        } else {
            cameras.selectAnnotation({ position: initial.target, camera: { initial } });
        }
        page.redraw();
    };

    // Where the camera is: position, target and fov (degrees of the longer side) in our frame.
    page.whereAmI = () => {
        const { camera } = page.cameras;
        const focus = camera.position.clone();
        camera.calcFocusPoint(focus);
        return {
            position: page.fromViewer(camera.position),
            target: page.fromViewer(focus),
            fov: camera.fov
        };
    };

    // A point of our frame in the window's pixels, or null behind the camera.
    page.project = (point) => {
        const camera = page.viewer.app.root.findByName('camera');
        const world = page.cameras.camera.position.clone().set(...turn(point));
        const ahead = world.clone().sub(camera.getPosition()).dot(camera.forward);
        if (ahead <= camera.camera.nearClip) return null;
        const { x, y } = camera.camera.worldToScreen(world);
        return [x, y];
    };

    // What lies at a place of the window (0..1 across and down), in our frame, or null.
    page.pick = async (x, y) => {
        const found = await page.picker?.pick(x, y);
        return found ? page.fromViewer(found) : null;
    };
})(window.splatmake);
