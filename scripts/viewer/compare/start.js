// From the first byte to the first frame of both scenes.
'use strict';

((page) => {
    const { element, root, parameters, config, UserFacingError } = page;

    const fail = (error) => {
        if (!(error instanceof UserFacingError)) console.error(error);
        element('reason').textContent =
            error instanceof UserFacingError ? error.message : 'The scenes could not be shown in this browser.';
        element('error').hidden = false;
        page.viewer?.destroy();
        page.laterViewer?.destroy();
        page.viewer = page.laterViewer = page.cameras = null;
        page.failed = true;
        page.state = 'error';
    };

    const firstFrame = (viewer) =>
        new Promise((resolve, reject) => {
            viewer.app.assets.on('error', () => {
                reject(new UserFacingError('A scene is damaged and cannot be drawn.'));
            });
            if (viewer.state.loaded) resolve();
            else viewer.events.once('loaded:changed', resolve);
        });

    const start = async () => {
        element('error').hidden = true;
        page.state = 'loading';
        page.showProgress(0);
        try {
            page.checkBrowser();
            const { createViewer } = await page.loadViewer();
            const viewerOf = async (scene, container) =>
                createViewer({
                    container: element(container),
                    settings: structuredClone(config.settingsJson),
                    contentUrl: scene.url,
                    contentFilename: scene.name,
                    contents: Promise.resolve(new Response(await page.downloadScene(scene, () => {}))),
                    renderer: 'webgl',
                    ui: false,
                    noanim: true,
                    aa: scene.antialiased === true
                });
            page.showProgress(0.3, 'Preparing');
            page.viewer = await viewerOf(config.scene, 'stage');
            page.uprightOnArrival(page.viewer.app);
            page.viewer.events.once('camera:ready', (cameras) => {
                page.cameras = cameras;
            });
            page.steerCamera(page.viewer.app);
            await Promise.race([firstFrame(page.viewer), page.noWorker]);
            page.showProgress(0.6, 'Preparing');
            page.laterViewer = await viewerOf(config.after, 'later');
            page.placedOnArrival(page.laterViewer.app, config.matrix);
            await Promise.race([firstFrame(page.laterViewer), page.noWorker]);
            for (const viewer of [page.viewer, page.laterViewer]) {
                if (page.isHeld()) viewer.state.performanceMode = false; // it halves the resolution
            }
            page.follow(page.viewer, page.laterViewer);
            const enter = (instantly) =>
                page.goTo(config.start.position, config.start.target, config.start.fov, instantly);
            enter(true);
            page.connectWipe();
            page.connectPlaces();
            element('reset').onclick = () => enter();
            page.showProgress(1);
            page.state = 'ready';
            const canvas = element('stage').querySelector('canvas');
            canvas.tabIndex = 0;
            canvas.setAttribute('aria-label', element('stage').getAttribute('aria-label'));
        } catch (error) {
            fail(error);
        }
    };

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
