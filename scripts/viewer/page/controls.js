// The toolbar's simple buttons, the keys, and the help.
'use strict';

((page) => {
    const HINT_SECONDS = 6;
    const { element, root } = page;

    // Keys of this page, beside the viewer's own; help.html names them all.
    const keys = new Map();
    page.onKey = (key, action) => keys.set(key, action);

    const connectKeys = () => {
        window.addEventListener('keydown', (event) => {
            if (page.state !== 'ready' || event.ctrlKey || event.altKey || event.metaKey) return;
            if (document.querySelector('dialog[open]')) return;
            if (event.target.closest?.('input, textarea')) return;
            const action = keys.get(event.key.toLowerCase());
            if (action) {
                event.preventDefault();
                action();
            }
        });
    };

    // A dialog takes the keyboard while it is open; a click beside it closes it.
    page.openDialog = (dialog) => {
        page.viewer.state.inputEnabled = false;
        dialog.onclose = () => {
            if (page.viewer) page.viewer.state.inputEnabled = true;
        };
        dialog.onclick = (event) => {
            if (event.target === dialog) dialog.close();
        };
        dialog.showModal();
    };

    page.connectControls = () => {
        const { state, events } = page.viewer;
        const mode = element('mode');
        const full = element('full');

        const showMode = () => {
            const flying = state.cameraMode === 'fly';
            page.press(mode, flying, flying ? 'Turn about the scene' : 'Fly freely');
        };
        events.on('cameraMode:changed', showMode);
        events.on('inputMode:changed', () => {
            root.dataset.input = state.inputMode; // until then, what the pointer's kind told
        });
        showMode();

        mode.onclick = () => {
            state.cameraMode = state.cameraMode === 'fly' ? 'orbit' : 'fly';
        };
        const { start } = page.config;
        element('reset').onclick = () => {
            state.cameraMode = 'orbit';
            page.goTo(start.position, start.target, start.fov);
        };

        full.hidden = !document.fullscreenEnabled;
        full.onclick = () => {
            if (document.fullscreenElement) document.exitFullscreen();
            else root.requestFullscreen().catch(() => undefined);
        };
        document.onfullscreenchange = () => {
            const active = Boolean(document.fullscreenElement);
            page.press(full, active, active ? 'Leave full screen' : 'Fill the screen');
        };

        element('ask').onclick = () => page.openDialog(element('help'));
        page.onKey('?', element('ask').onclick);
        // Space and Enter press the focused button and nothing in the scene.
        for (const bar of document.querySelectorAll('[role=toolbar]')) {
            bar.onkeydown = (event) => {
                if (event.key === ' ' || event.key === 'Enter') event.stopPropagation();
            };
        }
    };
    connectKeys();

    let hiding;
    page.showHint = () => {
        const hint = element('hint');
        hint.classList.add('shown');
        const hide = () => hint.classList.remove('shown');
        clearTimeout(hiding);
        hiding = setTimeout(hide, HINT_SECONDS * 1000);
        for (const kind of ['pointerdown', 'wheel', 'keydown']) {
            window.addEventListener(kind, hide, { once: true, passive: true });
        }
    };
})(window.splatmake);
