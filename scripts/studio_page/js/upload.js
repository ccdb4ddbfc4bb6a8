// An upload in the API's parts: what has come is not sent again, a lost connection is waited for.
import { Refused, Unreachable, call, wait } from './api.js';
import { t } from './text.js';

const AT_ONCE = 3;
const LONGEST_WAIT = 15000;
const PENDING = 'pending-upload';

/** By what an upload is found again: the names, sizes and dates of its files. */
export async function keyOf(entries) {
    const told = entries.map(({ name, file }) => [name, file.size, file.lastModified ?? 0]);
    const digest = await crypto.subtle?.digest('SHA-256', new TextEncoder().encode(JSON.stringify(told)));
    if (digest) return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    // Without TLS in a network, browsers give no SHA-256; here it only tells one set of files from another.
    let hashes = [0x811c9dc5, 0x01000193];
    for (const sign of JSON.stringify(told)) {
        hashes = hashes.map((hash, n) => Math.imul(hash ^ (sign.codePointAt(0) + n * 977), 0x01000193));
    }
    return `${hashes.map((hash) => (hash >>> 0).toString(16)).join('')}-${told.length}`;
}

export class Upload {
    /** `data`: something with `size` and `slice(start, end)`; `changed(this)` is called at each news. */
    constructor(name, data, key, changed) {
        Object.assign(this, { name, data, key, changed, sent: 0, size: data.size, state: 'sending', error: null });
        this.gone = new AbortController();
        this.flying = new Map();
    }

    get done() {
        const flying = [...this.flying.values()].reduce((sum, count) => sum + count, 0);
        return Math.min(this.size, this.sent + flying);
    }

    cancel() {
        this.state = 'cancelled';
        this.gone.abort();
    }

    /** The source for POST /jobs, once all is there. Rejects when it is refused or cancelled. */
    async run() {
        localStorage.setItem(PENDING, JSON.stringify({ name: this.name, key: this.key }));
        const body = { name: this.name, bytes: this.size };
        let told = await this.ask(() => call('uploads', { method: 'POST', body, key: this.key }));
        this.id = told.id;
        const total = Math.ceil(told.bytes / told.part_bytes);
        let refused = 0;
        while (told.state === 'open' && told.missing) {
            const before = told.missing;
            this.sent = Math.min(this.size, (total - told.missing) * told.part_bytes);
            this.changed(this);
            await this.parts(told);
            told = await this.ask(() => call(`uploads/${told.id}`));
            // Links that were too old are new now; if no part goes through all the same, that is not the reason.
            refused = told.missing < before ? 0 : refused + 1;
            if (refused >= 3) throw new Refused(403, t('send.refused'));
        }
        this.sent = this.size;
        if (told.state === 'open') told = await this.ask(() => call(`uploads/${told.id}/complete`, { method: 'POST' }));
        this.state = 'done';
        localStorage.removeItem(PENDING);
        this.changed(this);
        return told.source;
    }

    async parts(told) {
        const left = [...told.parts];
        let failed = null;
        const send = async () => {
            for (let part = left.shift(); part && !failed; part = left.shift()) {
                const start = (part.number - 1) * told.part_bytes;
                try {
                    const blob = await this.data.slice(start, start + part.bytes);
                    // A link may be too old by now: the answer to the next question has new ones.
                    const fresh = await this.ask(() => this.put(part, blob));
                    if (!fresh) return;
                    this.sent += part.bytes;
                    this.changed(this);
                } catch (error) {
                    failed ??= error;
                }
            }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, send));
        if (failed) throw failed;
    }

    /** PUT one part; false when its link is too old. With XMLHttpRequest, which tells how much has gone. */
    put(part, blob) {
        return new Promise((resolve, reject) => {
            const request = new XMLHttpRequest();
            const end = (act, value) => {
                this.flying.delete(part.number);
                act(value);
            };
            request.open('PUT', part.url);
            request.upload.onprogress = (event) => {
                this.flying.set(part.number, event.loaded);
                this.changed(this);
            };
            request.onload = () => {
                if (request.status >= 200 && request.status < 300) end(resolve, true);
                else if (request.status === 403 || request.status === 404) end(resolve, false);
                else end(reject, refusal(request));
            };
            request.onerror = () => end(reject, new Unreachable());
            request.onabort = () => end(reject, new DOMException('', 'AbortError'));
            this.gone.signal.addEventListener('abort', () => request.abort(), { once: true });
            // A blob that refers to files that have changed on the disk cannot be read any more.
            request.send(blob);
        });
    }

    /** What `act` gives; while nobody answers, it is asked again, and the page says so. */
    async ask(act) {
        for (let n = 0; ; n += 1) {
            if (this.state === 'cancelled') throw new DOMException('', 'AbortError');
            try {
                const told = await act();
                if (this.state === 'away') {
                    this.state = 'sending';
                    this.changed(this);
                }
                return told;
            } catch (error) {
                const passing = error instanceof Unreachable || (error instanceof Refused && error.status >= 500 && error.status !== 507);
                if (!passing) throw error;
                if (n > 0) this.state = 'away';
                this.changed(this);
                await wait(Math.min(LONGEST_WAIT, 500 * 2 ** n));
            }
        }
    }
}

function refusal(request) {
    let told = null;
    try {
        told = JSON.parse(request.responseText).error;
    } catch {
        // S3 answers in XML.
    }
    return new Refused(request.status, told || `${request.status}`);
}

/** The name of an upload that did not end when the page was closed; null when there is none. */
export function pending() {
    try {
        return JSON.parse(localStorage.getItem(PENDING));
    } catch {
        return null;
    }
}

export const forgetPending = () => localStorage.removeItem(PENDING);
