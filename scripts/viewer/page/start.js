// From the first byte to the first frame, and what to do when it does not come to that.
'use strict';

((page) => {
    const { element, root, parameters, config, UserFacingError } = page;
    const PICKS = ['pick', 'navigateTo']; // what the viewer does with a click on the scene

    // Others may want a click on the scene for themselves: the first that says true has it.
    const pickers = [];
    page.onPick = (wants) => pickers.push(wants);
    const frames = [];
    page.onFrame = (draw) => frames.push(draw);

    const listenIn = () => {
        const { events, app } = page.viewer;
        events.once('picker:ready', (picker) => {
            page.picker = picker;
        });
        events.once('camera:ready', (cameras, VoxelCollision) => {
            page.cameras = cameras;
            page.VoxelCollision = VoxelCollision;
        });
        const fire = events.fire;
        events.fire = function (name, ...rest) {
            if (PICKS.includes(name)) {
                const point = page.fromViewer(rest[0]);
                if (pickers.some((wants) => wants(point))) return this;
            }
            return fire.call(this, name, ...rest);
        };
        app.on('update', () => {
            if (page.state === 'ready' && page.cameras) frames.forEach((draw) => draw());
        });
    };

    const firstFrame = () =>
        new Promise((resolve, reject) => {
            page.viewer.app.assets.on('error', () => {
                reject(new UserFacingError('The scene is damaged and cannot be drawn.'));
            });
            if (page.viewer.state.loaded) resolve();
            else page.viewer.events.once('loaded:changed', resolve);
        });

    const watchContext = () => {
        element('stage')
            .querySelector('canvas')
            .addEventListener('webglcontextlost', () => {
                fail(new UserFacingError('The graphics card stopped drawing this page. Try again.'));
            });
    };

    const fail = (error) => {
        if (!(error instanceof UserFacingError)) console.error(error);
        element('reason').textContent =
            error instanceof UserFacingError ? error.message : 'The scene could not be shown in this browser.';
        const link = error instanceof UserFacingError && error.link;
        element('way-out').hidden = !link;
        if (link) {
            const anchor = element('way-out').querySelector('a');
            Object.assign(anchor, { href: link.href, textContent: link.text, rel: 'noopener' });
            if (self !== top) anchor.target = '_blank';
        }
        element('error').hidden = false;
        page.viewer?.destroy();
        page.viewer = page.cameras = page.picker = null;
        pickers.length = frames.length = 0;
        page.failed = true;
        page.state = 'error';
    };

    // The visit begins at the start view, or at the one that the address asks for.
    const enter = () => {
        const asked = page.viewOfAddress();
        const { position, target } = asked ?? config.start;
        page.goTo(position, target, config.start.fov, true);
    };

    const start = async () => {
        element('error').hidden = true;
        page.state = 'loading';
        page.showProgress(0);
        try {
            page.checkBrowser();
            const chosen = page.chooseScene();
            // A large scene comes in parts, those that are looked at first; the viewer fetches them.
            const file = config.streamPhones === false && chosen === config.mobile;
            const streamed = config.stream && !config.inline && !file;
            const [scene, settings, { createViewer }] = await Promise.all([
                streamed || page.downloadScene(chosen, (part) => page.showProgress(0.95 * part)),
                page.loadSettings(),
                page.loadViewer()
            ]);
            page.showProgress(0.95, 'Preparing');
            page.viewer = await createViewer({
                container: element('stage'),
                settings,
                ...(streamed
                    ? { contentUrl: config.stream }
                    : {
                          contentUrl: chosen.url,
                          contentFilename: chosen.name,
                          contents: Promise.resolve(new Response(scene))
                      }),
                renderer: 'webgl', // WebGPU loses its device on some machines, and then draws nothing
                ui: false,
                noanim: true,
                aa: config.antialiased === true
            });
            // Nothing has been awaited since the load began, so all of these see the splat arrive.
            page.uprightOnArrival(page.viewer.app);
            listenIn();
            page.steerCamera(page.viewer.app);
            if (streamed) {
                page.viewer.events.on('progress:changed', (percent) =>
                    page.showProgress(Math.min(0.95, percent / 100))
                );
            }
            if (page.isHeld()) page.viewer.state.performanceMode = false; // it halves the resolution
            await Promise.race([firstFrame(), page.noWorker]);
            watchContext();
            enter();
            for (const part of ['Controls', 'Walk', 'Tour', 'Measure', 'Map', 'Notes', 'Share']) {
                page[`connect${part}`]();
            }
            page.showProgress(1);
            page.state = 'ready';
            const canvas = element('stage').querySelector('canvas');
            canvas.tabIndex = 0;
            canvas.setAttribute('aria-label', element('stage').getAttribute('aria-label'));
            if (root.dataset.ui !== '0' && parameters.get('animate') !== '0') page.showHint();
        } catch (error) {
            fail(error);
        }
    };

    if (parameters.get('ui') === '0') root.dataset.ui = '0';
    if (parameters.has('pose')) {
        try {
            page.setPose(parameters.get('pose').split(','), Number(parameters.get('fov') ?? 60));
        } catch (error) {
            console.warn(`pose ignored: ${error.message}`);
        }
    }
    root.dataset.input = matchMedia('(pointer: coarse)').matches ? 'touch' : 'desktop';
    element('retry').onclick = start;
    start();
})(window.splatmake);
