// The page around the viewer: loads the scene with a percentage, says in a sentence what went wrong,
// turns the splat upright and offers four named buttons. A plain script, so that it also runs (and can
// explain itself) when somebody opens the file from a disk, where modules are refused.
//
// Parameters: ui=0 shows the picture alone; animate=0 starts without transitions; pose=<16 numbers>
// fixes the camera at a world_to_camera matrix (row-major, OpenCV axes, metres of the splat's frame)
// with fov=<vertical degrees>. `window.splatmake` offers the same to scripts.
'use strict';

(() => {
    const STALL_SECONDS = 30;
    const HINT_SECONDS = 6;
    const root = document.documentElement;
    const parameters = new URLSearchParams(location.search);
    const config = JSON.parse(document.getElementById('config').textContent);
    const element = (id) => document.getElementById(id);

    // A failure whose message is meant for the visitor.
    class Told extends Error {}

    let viewer = null;
    let held = null; // the fixed camera, or null while the visitor steers

    const setState = (state) => {
        root.dataset.state = state;
    };

    const showProgress = (fraction, words) => {
        const percent = Math.floor(fraction * 100);
        element('bar').setAttribute('aria-valuenow', percent);
        element('filled').style.transform = `scaleX(${fraction})`;
        element('status').textContent = words ?? `Loading ${percent} %`;
    };

    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

    // ---- loading -------------------------------------------------------------------------------

    const request = async (url, what, signal) => {
        let response;
        try {
            response = await fetch(url, { signal });
        } catch {
            throw new Told(`${what} could not be downloaded. Check your connection and try again.`);
        }
        if (response.status === 404) {
            throw new Told(`${what} is missing on this server.`);
        }
        if (!response.ok) {
            throw new Told(`${what} could not be downloaded: the server answered ${response.status}.`);
        }
        return response;
    };

    const readAll = async (response, size, abort, onBytes) => {
        const chunks = [];
        let received = 0;
        let stall;
        const watch = () => {
            clearTimeout(stall);
            stall = setTimeout(() => abort.abort(), STALL_SECONDS * 1000);
        };
        const reader = response.body.getReader();
        try {
            watch();
            for (;;) {
                const { done, value } = await reader.read();
                if (done) break;
                watch();
                chunks.push(value);
                received += value.length;
                onBytes(Math.min(1, received / size));
            }
        } catch {
            throw new Told(
                `The download stopped after ${megabytes(received)} of ${megabytes(size)}.` +
                    ' Check your connection and try again.'
            );
        } finally {
            clearTimeout(stall);
        }
        return new Blob(chunks);
    };

    const matches = async (blob, wanted) => {
        // Hashing is only offered on https and localhost; elsewhere the size has to do.
        if (!globalThis.crypto?.subtle) return true;
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
        return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') === wanted;
    };

    const downloadScene = async (onBytes) => {
        const { url, bytes, sha256 } = config.scene;
        const abort = new AbortController();
        const response = await request(url, 'The scene', abort.signal);
        const blob = await readAll(response, bytes, abort, onBytes);
        if (blob.size < bytes) {
            throw new Told(
                `The scene is incomplete: ${megabytes(blob.size)} of ${megabytes(bytes)} arrived.`
            );
        }
        if (blob.size !== bytes || !(await matches(blob, sha256))) {
            throw new Told('The scene on this server is not the one this page was made for.');
        }
        return blob;
    };

    const loadSettings = async () => {
        const response = await request(config.settings, "The scene's settings");
        try {
            return await response.json();
        } catch {
            throw new Told("The scene's settings on this server are damaged.");
        }
    };

    const loadViewer = async () => {
        try {
            return await import(new URL(config.viewer, document.baseURI));
        } catch {
            throw new Told('The viewer could not be downloaded. Check your connection and try again.');
        }
    };

    const checkBrowser = () => {
        if (location.protocol === 'file:') {
            throw new Told(
                'Browsers refuse to load a scene straight from a disk. Start "python -m http.server"' +
                    ' in this folder and open http://localhost:8000 instead.'
            );
        }
        const context = document.createElement('canvas').getContext('webgl2');
        if (!context) {
            throw new Told(
                'This browser cannot draw in three dimensions (WebGL 2 is off or missing).' +
                    ' Try another browser, or turn on hardware acceleration in its settings.'
            );
        }
        context.getExtension('WEBGL_lose_context')?.loseContext();
    };

    // ---- the splat's frame and the camera ------------------------------------------------------

    // Ours is Z up, the viewer's Y up: a quarter turn about X takes (x, y, z) to (x, z, -y). The
    // viewer itself would turn the splat half about Z, which suits files in camera axes.
    const turn = ([x, y, z]) => [x, z, -y];

    const uprightOnArrival = (app) => {
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

    // The viewer moves the camera in its own update; this listener comes after it and has the last word.
    const holdCamera = (app) => {
        app.on('update', () => {
            if (!held) return;
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
        });
    };

    const setPose = (matrix, fov) => {
        held = matrix ? cameraOf(matrix, fov) : null;
        if (viewer) viewer.app.renderNextFrame = true;
    };

    // ---- controls ------------------------------------------------------------------------------

    const connectControls = () => {
        const { state, events } = viewer;
        const mode = element('mode');
        const full = element('full');

        const showMode = () => {
            const flying = state.cameraMode === 'fly';
            mode.setAttribute('aria-pressed', flying);
            mode.title = flying ? 'Turn about the scene' : 'Fly freely';
            mode.setAttribute('aria-label', mode.title);
        };
        const showInput = () => {
            root.dataset.input = state.inputMode;
        };
        events.on('cameraMode:changed', showMode);
        events.on('inputMode:changed', showInput); // until then, what the pointer's kind told
        showMode();

        mode.onclick = () => {
            state.cameraMode = state.cameraMode === 'fly' ? 'orbit' : 'fly';
        };
        element('reset').onclick = () => {
            state.cameraMode = 'orbit';
            viewer.resetCamera();
        };

        full.hidden = !document.fullscreenEnabled;
        full.onclick = () => {
            if (document.fullscreenElement) document.exitFullscreen();
            else root.requestFullscreen().catch(() => undefined);
        };
        document.onfullscreenchange = () => {
            const active = Boolean(document.fullscreenElement);
            full.setAttribute('aria-pressed', active);
            full.title = active ? 'Leave full screen' : 'Fill the screen';
            full.setAttribute('aria-label', full.title);
        };

        const help = element('help');
        element('ask').onclick = () => {
            state.inputEnabled = false;
            help.showModal();
        };
        help.onclose = () => {
            state.inputEnabled = true;
        };
        // A click on the backdrop lands on the dialog itself.
        help.onclick = (event) => {
            if (event.target === help) help.close();
        };
        // Space and Enter press the focused button and nothing in the scene.
        element('tools').onkeydown = (event) => {
            if (event.key === ' ' || event.key === 'Enter') event.stopPropagation();
        };
    };

    const showHint = () => {
        const hint = element('hint');
        hint.classList.add('shown');
        const hide = () => hint.classList.remove('shown');
        setTimeout(hide, HINT_SECONDS * 1000);
        for (const kind of ['pointerdown', 'wheel', 'keydown']) {
            window.addEventListener(kind, hide, { once: true, passive: true });
        }
    };

    // ---- start ---------------------------------------------------------------------------------

    const firstFrame = () =>
        new Promise((resolve, reject) => {
            viewer.app.assets.on('error', () => {
                reject(new Told('The scene is damaged and cannot be drawn.'));
            });
            if (viewer.state.loaded) resolve();
            else viewer.events.once('loaded:changed', resolve);
        });

    const watchContext = () => {
        element('stage')
            .querySelector('canvas')
            .addEventListener('webglcontextlost', () => {
                fail(new Told('The graphics card stopped drawing this page. Try again.'));
            });
    };

    const fail = (error) => {
        if (!(error instanceof Told)) console.error(error);
        element('reason').textContent =
            error instanceof Told ? error.message : 'The scene could not be shown in this browser.';
        element('error').hidden = false;
        viewer?.destroy();
        viewer = null;
        setState('error');
    };

    const start = async () => {
        element('error').hidden = true;
        setState('loading');
        showProgress(0);
        try {
            checkBrowser();
            const [scene, settings, { createViewer }] = await Promise.all([
                downloadScene((fraction) => showProgress(0.95 * fraction)),
                loadSettings(),
                loadViewer()
            ]);
            showProgress(0.95, 'Preparing');
            viewer = await createViewer({
                container: element('stage'),
                settings,
                contentUrl: config.scene.url,
                contentFilename: config.scene.name,
                contents: Promise.resolve(new Response(scene)),
                renderer: 'webgl', // WebGPU loses its device on some machines, and then draws nothing
                ui: false,
                noanim: true
            });
            // Nothing has been awaited since the load began, so both see the splat arrive.
            uprightOnArrival(viewer.app);
            holdCamera(viewer.app);
            if (held) viewer.state.performanceMode = false; // it halves the resolution
            await firstFrame();
            watchContext();
            if (!held) viewer.state.cameraMode = 'orbit'; // else the viewer plays a flight of its own
            connectControls();
            showProgress(1);
            setState('ready');
            element('stage').querySelector('canvas').tabIndex = 0;
            if (root.dataset.ui !== '0' && parameters.get('animate') !== '0') showHint();
        } catch (error) {
            fail(error);
        }
    };

    if (parameters.get('ui') === '0') root.dataset.ui = '0';
    if (parameters.has('pose')) {
        try {
            setPose(parameters.get('pose').split(','), Number(parameters.get('fov') ?? 60));
        } catch (error) {
            console.warn(`pose ignored: ${error.message}`);
        }
    }
    root.dataset.input = matchMedia('(pointer: coarse)').matches ? 'touch' : 'desktop';
    element('retry').onclick = start;
    window.splatmake = {
        setPose,
        get state() {
            return root.dataset.state;
        },
        get viewer() {
            return viewer;
        }
    };
    start();
})();
