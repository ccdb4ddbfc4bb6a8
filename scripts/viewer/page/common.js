// What every part of the page shares: its texts and settings, its state, and how it speaks.
//
// The parts are plain scripts that hang themselves on `splatmake`, joined into one file in the order
// of PAGE_PARTS: a plain script also runs, and can explain itself, when somebody opens the file from a
// disk, where modules are refused.
//
// Parameters of the address: ui=0 shows the picture alone; animate=0 starts without transitions;
// pose=<16 numbers> fixes the camera at a world_to_camera matrix (row-major, OpenCV axes, the splat's
// own frame) with fov=<vertical degrees>; edit shows where you click, for annotations.
'use strict';

window.splatmake = (() => {
    const root = document.documentElement;
    const element = (id) => document.getElementById(id);

    // A failure whose message is meant for the visitor.
    class UserFacingError extends Error {
        // `link`: what helps, as {href, text}.
        constructor(message, link = null) {
            super(message);
            this.link = link;
        }
    }

    element('stuck').remove(); // this script has come

    // What the policy of the host has kept the page from, which browsers tell shortly after it has failed.
    // Extensions of the browser break our own policy too; theirs are not ours to tell.
    const OURS = /^(blob|data|wasm-eval)$/;
    let forbidden = '';
    document.addEventListener('securitypolicyviolation', (event) => {
        const ours = OURS.test(event.blockedURI) || event.blockedURI.startsWith(location.origin);
        if (!ours || event.disposition !== 'enforce') return;
        forbidden ||= event.effectiveDirective;
        // Nothing else tells that the viewer waits for a worker that will never start.
        if (event.effectiveDirective === 'worker-src') workerRefused(policyTold());
    });
    const policyTold = () =>
        new UserFacingError(
            `This server's content policy blocks parts of the page (${forbidden}). The owner of the server must` +
                ' allow what index.html allows in its own Content-Security-Policy.'
        );
    const policyError = async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return forbidden && policyTold();
    };
    let workerRefused;
    const noWorker = new Promise((_, reject) => {
        workerRefused = reject;
    });
    noWorker.catch(() => {}); // whoever waits for it hears of it

    return {
        policyError,
        noWorker, // fails when the server's policy refuses the viewer's worker
        root,
        element,
        UserFacingError,
        config: JSON.parse(element('config').textContent),
        parameters: new URLSearchParams(location.search),
        viewer: null, // the viewer's handle, once it exists
        failed: false, // whether a load has failed before
        cameras: null, // its camera manager
        picker: null,
        get state() {
            return root.dataset.state;
        },
        set state(value) {
            root.dataset.state = value;
        },
        calm: () => matchMedia('(prefers-reduced-motion: reduce)').matches,
        // Said aloud by screen readers, and nowhere else.
        announce(words) {
            element('said').textContent = words;
        },
        // A button that is pressed or not, with a name for each.
        press(button, pressed, name) {
            button.setAttribute('aria-pressed', pressed);
            if (name) {
                button.title = name;
                button.setAttribute('aria-label', name);
            }
        },
        redraw() {
            if (this.viewer) this.viewer.app.renderNextFrame = true;
        }
    };
})();
