// The one upload that may be under way, whichever view is shown; it becomes a run when it is through.
import * as api from './api.js';
import { Upload, keyOf } from './upload.js';
import { sceneName, t } from './text.js';

let current = null;
const listeners = new Set();

/** `listener(upload)` at each news, with null when there is none (any more); gives how to end that. */
export function onSending(listener) {
    listeners.add(listener);
    listener(current);
    return () => listeners.delete(listener);
}

const tell = () => {
    for (const listener of listeners) listener(current);
};

export const sending = () => current;

/** A name as the API takes it for an upload. */
function uploadName(title, suffix) {
    return `${sceneName(title).slice(0, 90)}.${suffix.toLowerCase()}`;
}

/** Upload `data` (with `entries` as its key) and start a run of it; the run's id. */
export async function send({ title, data, entries, suffix, options }) {
    const key = await keyOf(entries);
    current = new Upload(uploadName(title, suffix), data, key, tell);
    current.title = title;
    try {
        const source = await current.run();
        const body = { scenes: [{ scene: sceneName(title), source }], options };
        // The same upload with the same options, sent twice by accident, is one run.
        const stamp = Math.floor(Date.now() / 60000).toString(36);
        const started = await api.submit(body, `${current.id}-${stamp}-${hash(JSON.stringify(body))}`);
        return started.id;
    } finally {
        current = null;
        tell();
    }
}

function hash(text) {
    let made = 5381;
    for (const sign of text) made = (Math.imul(made, 33) ^ sign.codePointAt(0)) >>> 0;
    return made.toString(36);
}

addEventListener('beforeunload', (event) => {
    if (!current || current.state === 'done') return;
    event.preventDefault();
    event.returnValue = t('send.leave');
});
