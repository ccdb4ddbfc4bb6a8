// On foot: the viewer's own walker, held by the walls and floors of walk.zip; the stick for thumbs; headsets.
'use strict';

((page) => {
    const { element, root, config } = page;
    const LEAF = 4; // cells along the side of an octree's leaf
    const HUMAN = { gravity: 9.8, jumpSpeed: 4, moveGroundSpeed: 5, moveAirSpeed: 1, groundProbeRange: 1.5 };
    const STEPS_BEFORE = 6; // metres before what the camera looks at
    const FALLING = 4; // metres a second at which a headset's floor follows the ground
    page.metre = config.walk?.walker.unit ?? 1; // the viewer's script asks for it

    const collisionOf = (words) => {
        const { low, high, cell, depth, nodes } = config.walk.octree;
        const header = {
            gridBounds: { min: low, max: high },
            voxelResolution: cell,
            leafSize: LEAF,
            treeDepth: depth
        };
        return new page.VoxelCollision(header, words.slice(0, nodes), words.slice(nodes));
    };

    // The walker's body, which hovers over what is lower than a step. The top of a cell that holds a floor is half
    // a cell above the floor, on average.
    const measured = () => {
        const { unit, eye, step, radius, height } = config.walk.walker;
        const hover = Math.min(step, height - 2.2 * radius);
        const above = config.walk.octree.cell / 2;
        return { hover, eye: eye - hover - above, height: height - hover, radius, unit };
    };

    const fit = (walker) => {
        const { hover, eye, height, radius, unit } = measured();
        for (const [name, value] of Object.entries(HUMAN)) walker[name] = value * unit;
        Object.assign(walker, { hoverHeight: hover, eyeHeight: eye, capsuleHeight: height, capsuleRadius: radius });
        // Of the longer side: an upright window shows little to the sides.
        walker.fov = innerHeight > innerWidth ? 90 : 75;
    };

    // A walk begins a few steps in front of what the camera looks at, on the camera's side of it, at the nearest
    // place where one can; the eyes at their height.
    const entrance = () => {
        const { position, target } = page.whereAmI();
        const { eye, unit } = config.walk.walker;
        const back = [0, 1, 2].map((i) => position[i] - target[i]);
        const near = Math.min(1, (STEPS_BEFORE * unit) / (Math.hypot(back[0], back[1]) || 1));
        const wanted = target.map((value, i) => value + near * back[i]);
        const away = ([x, y, z]) =>
            Math.hypot(x - wanted[0], y - wanted[1]) + 0.5 * Math.abs(wanted[2] - eye - z);
        const [x, y, z] = config.walk.places.reduce((a, b) => (away(b) < away(a) ? b : a));
        let ahead = [target[0] - x, target[1] - y];
        if (Math.hypot(...ahead) < unit) ahead = [-back[0], -back[1]];
        const far = Math.hypot(...ahead) || 1;
        const look = [x + (unit * ahead[0]) / far, y + (unit * ahead[1]) / far, z + eye];
        return { position: [x, y, z + eye], target: look };
    };

    let collision = null;
    let arriving = null; // the entrance, while the camera is on its way there
    const walking = () => page.viewer.state.cameraMode === 'walk';

    const stand = () => {
        const { cameras, viewer } = page;
        const { camera } = cameras;
        const point = (place) => camera.position.clone().set(...page.toViewer(place));
        camera.look(point(arriving.position), point(arriving.target));
        arriving = null;
        cameras.setCollision(collision);
        viewer.state.cameraMode = 'walk';
        cameras.snap();
    };

    const enter = async () => {
        try {
            collision ??= collisionOf(await page.loadOctree());
        } catch (error) {
            if (!(error instanceof page.UserFacingError)) throw error;
            page.say(error.message);
            return;
        }
        fit(page.cameras.walker);
        arriving = entrance();
        page.goTo(arriving.position, arriving.target, page.cameras.walker.fov);
    };

    // Words for eyes and ears: what to do now.
    page.say = (words) => {
        const hint = element('hint');
        hint.replaceChildren(words);
        page.announce(words);
        page.showHint();
    };

    const connectStick = () => {
        const stick = element('stick');
        const knob = element('knob');
        const push = (x, y) => {
            page.viewer?.setMoveInput(x, -y);
            knob.style.translate = `${x * 2}rem ${y * 2}rem`;
        };
        const follow = (event) => {
            const { left, top, width } = stick.getBoundingClientRect();
            const [x, y] = [event.clientX - left, event.clientY - top].map((v) => (2 * v) / width - 1);
            const length = Math.max(1, Math.hypot(x, y));
            push(x / length, y / length);
        };
        stick.onpointerdown = (event) => {
            event.preventDefault();
            stick.setPointerCapture(event.pointerId);
            follow(event);
        };
        stick.onpointermove = (event) => {
            if (stick.hasPointerCapture(event.pointerId)) follow(event);
        };
        stick.onlostpointercapture = stick.onpointercancel = () => push(0, 0);
    };

    // ---- headsets ------------------------------------------------------------------------------

    // Keep the head out of walls and the rig on the ground: `rig` carries the head, both in the viewer's world.
    page.holdRig = (rig, head, seconds) => {
        const { hover, radius, unit } = measured();
        const feet = rig.getPosition().y;
        const tall = Math.max(head.y - feet - hover, 2.2 * radius);
        const push = { x: 0, y: 0, z: 0 };
        const middle = feet + hover + tall / 2;
        if (collision.queryCapsule(head.x, middle, head.z, tall / 2 - radius, radius, push)) {
            rig.translate(push.x, 0, push.z);
            head.x += push.x;
            head.z += push.z;
        }
        const ground = collision.queryRay(head.x, feet + hover, head.z, 0, -1, 0, 100 * unit);
        if (!ground) return;
        const most = FALLING * unit * seconds;
        rig.translate(0, Math.max(-most, Math.min(most, ground.y - feet)), 0);
    };

    const connectHeadset = () => {
        const button = element('headset');
        const { state, events, app } = page.viewer;
        const offer = () => {
            button.hidden = !(config.walk.metres && state.canStartVR);
        };
        events.on('canStartVR:changed', offer);
        offer();
        button.onclick = async () => {
            if (!walking()) await enter();
            if (arriving) stand();
            if (!walking()) return;
            try {
                await page.viewer.startXR('vr');
            } catch (error) {
                console.error(error);
                page.say('The headset could not be started.');
            }
        };
        events.on('xrMode:changed', (mode) => {
            if (mode !== 'vr') return;
            const rig = app.root.findByName('camera').parent;
            const { x, y, z } = page.cameras.camera.position;
            rig.setPosition(x, y - config.walk.walker.eye, z);
            const aim = rig.script?.xrNavigation;
            if (!aim) return;
            aim.castRay = (from, to) => {
                const way = to.clone().sub(from);
                const length = way.length();
                way.normalize();
                const hit = collision.queryRay(from.x, from.y, from.z, way.x, way.y, way.z, length);
                return hit && to.clone().set(hit.x, hit.y, hit.z);
            };
        });
        app.on('update', (seconds) => {
            if (state.xrMode !== 'vr' || !collision) return;
            const camera = app.root.findByName('camera');
            page.holdRig(camera.parent, camera.getPosition().clone(), seconds);
        });
    };

    page.connectWalk = () => {
        const button = element('walk');
        button.hidden = !config.walk;
        if (!config.walk) return;
        const { state, events } = page.viewer;
        collision = arriving = null;

        const show = () => {
            page.press(button, walking(), walking() ? 'Stop walking' : 'Walk');
            root.dataset.walk = walking() ? 'on' : 'off';
        };
        events.on('cameraMode:changed', (mode) => {
            // Elsewhere walls hold nobody: others turn about the scene and fly.
            if (mode !== 'walk') page.cameras.setCollision(null);
            if (mode !== 'orbit') arriving = null;
            show();
            if (mode === 'walk') {
                const touch = root.dataset.input === 'touch';
                page.say(touch ? 'Push the stick to walk, drag to look around' : 'W A S D to walk, drag to look around');
            }
        });
        page.onFrame(() => {
            if (arriving && page.cameras.transitionProgress() === 1) stand();
        });
        button.onclick = () => {
            if (walking()) state.cameraMode = 'orbit';
            else enter();
        };
        page.onKey('b', () => button.onclick());
        connectStick();
        connectHeadset();
        show();
    };
})(window.splatmake);
