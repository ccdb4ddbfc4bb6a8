// Getting the files, with a percentage, and a sentence when one does not come.
'use strict';

((page) => {
    const STALL_SECONDS = 30;
    const { element, UserFacingError, config } = page;
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

    page.showProgress = (fraction, words) => {
        const percent = Math.floor(fraction * 100);
        element('bar').setAttribute('aria-valuenow', percent);
        element('filled').style.transform = `scaleX(${fraction})`;
        element('status').textContent = words ?? `Loading ${percent} %`;
    };

    // A file that travels inside the page itself (the one-file form) as base64.
    const inlined = (name) => {
        const text = element(`file-${name}`)?.textContent;
        return text && new Response(Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0)));
    };

    // A frame with `sandbox` and without `allow-same-origin` belongs to no server, so no server answers it.
    const sandboxed = () => self.origin === 'null' && location.protocol.startsWith('http');
    const unreachable = (what) =>
        sandboxed()
            ? new UserFacingError(
                  'The frame around this page blocks it from loading its own files. The author of the page with' +
                      ' that frame must add allow-same-origin to its sandbox.',
                  { href: location.href, text: 'Open the scene by itself' }
              )
            : new UserFacingError(`${what} could not be downloaded. Check your connection and try again.`);

    const request = async (name, url, what, signal) => {
        const here = inlined(name);
        if (here) return here;
        let response;
        try {
            // What failed once may lie in the browser's cache: another try asks the server itself.
            response = await fetch(url, { signal, cache: page.failed ? 'reload' : 'default' });
        } catch {
            throw (await page.policyError()) || unreachable(what);
        }
        if (response.status === 404) {
            throw new UserFacingError(`${what} is missing on this server.`);
        }
        if (!response.ok) {
            throw new UserFacingError(`${what} could not be downloaded: the server answered ${response.status}.`);
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
            throw new UserFacingError(
                `The download stopped after ${megabytes(received)} of ${megabytes(size)}.` +
                    ' Check your connection and try again.'
            );
        } finally {
            clearTimeout(stall);
        }
        return new Blob(chunks);
    };

    const matches = async (blob, wanted) => {
        // Hashing is only offered on https, on localhost and from a disk; elsewhere the size has to do.
        if (!globalThis.crypto?.subtle) return true;
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
        return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') === wanted;
    };

    // A phone, or somebody who asked the browser to save data, gets the smaller file.
    page.chooseScene = () => {
        const small = matchMedia('(pointer: coarse) and (width <= 64rem)').matches;
        const saving = navigator.connection?.saveData === true;
        return config.mobile && (small || saving) ? config.mobile : config.scene;
    };

    page.downloadScene = async (scene, onBytes) => {
        const { name, url, bytes, sha256 } = scene;
        const abort = new AbortController();
        const response = await request(name, url, 'The scene', abort.signal);
        const blob = await readAll(response, bytes, abort, onBytes);
        if (blob.size < bytes) {
            throw new UserFacingError(
                `The scene is incomplete: ${megabytes(blob.size)} of ${megabytes(bytes)} arrived.`
            );
        }
        if (blob.size !== bytes || !(await matches(blob, sha256))) {
            throw new UserFacingError('The scene on this server is not the one this page was made for.');
        }
        return blob;
    };

    page.loadSettings = async () => {
        const response = await request('settings.json', config.settings, "The scene's settings");
        try {
            return await response.json();
        } catch {
            throw new UserFacingError("The scene's settings on this server are damaged.");
        }
    };

    // Some files travel compressed, because many hosts (S3 among them) compress nothing themselves.
    // One that does has taken the compression off already, which the first two bytes tell.
    const unpacked = async (response) => {
        const blob = await response.blob();
        const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
        if (start[0] !== 0x1f || start[1] !== 0x8b) return blob;
        return new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).blob();
    };

    // The words of the octree that says where a walker may be.
    page.loadOctree = async () => {
        const { nodes, leaf_words: leaves } = config.walk.octree;
        const response = await request('walk.bin.gz', config.walk.url, 'The ground to walk on');
        const bytes = await unpacked(response)
            .then((blob) => blob.arrayBuffer())
            .catch(() => new ArrayBuffer(0));
        if (bytes.byteLength !== 4 * (nodes + leaves)) {
            throw new UserFacingError('The ground to walk on is not the one this page was made for.');
        }
        return new Uint32Array(bytes);
    };

    page.loadViewer = async () => {
        const response = await request('viewer.js.gz', config.viewer, 'The viewer');
        try {
            const script = await unpacked(response);
            const address = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
            try {
                return await import(address);
            } finally {
                URL.revokeObjectURL(address);
            }
        } catch (error) {
            console.error(error);
            throw (
                (await page.policyError()) ||
                new UserFacingError('The viewer could not be started. Reload the page, or update your browser.')
            );
        }
    };

    page.checkBrowser = () => {
        if (location.protocol === 'file:' && !config.inline) {
            const oneFile = config.single?.split('/').at(-1);
            throw new UserFacingError(
                'Browsers cannot open this page directly from a disk.' +
                    (config.single ? ` Open ${oneFile}, the same page in one file, or start` : ' Start') +
                    ' "python -m http.server" in this folder and open http://localhost:8000.',
                config.single && { href: config.single, text: `Open ${oneFile}` }
            );
        }
        if (!globalThis.DecompressionStream) {
            throw new UserFacingError('This browser is too old to show the scene. Please update it.');
        }
        const context = document.createElement('canvas').getContext('webgl2');
        if (!context) {
            throw new UserFacingError(
                'This browser cannot draw in three dimensions (WebGL 2 is off or missing).' +
                    ' Try another browser, or turn on hardware acceleration in its settings.'
            );
        }
        context.getExtension('WEBGL_lose_context')?.loseContext();
    };
})(window.splatmake);
