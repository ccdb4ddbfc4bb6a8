// A few workers, and what is asked of them in turn.

const SOURCE = new URL('./look.js', import.meta.url).href;
// The page's policy lets no other text become the address of a script.
const policy = window.trustedTypes?.createPolicy('studio', {
    createScriptURL: (address) => {
        if (address !== SOURCE) throw new TypeError('no such worker');
        return address;
    },
});
const MOST = 4;
const waiting = { crc: [], look: [] };
const idle = [];
let made = 0;
let count = 0;

function work() {
    for (;;) {
        // What an upload waits for goes first.
        const queue = waiting.crc.length ? waiting.crc : waiting.look;
        if (!queue.length) return;
        const worker = idle.pop() ?? (made < Math.min(MOST, navigator.hardwareConcurrency || 2) ? start() : null);
        if (!worker) return;
        const { what, file, resolve, reject } = queue.shift();
        const id = (count += 1);
        worker.onmessage = ({ data }) => {
            if (data.id !== id) return;
            idle.push(worker);
            if ('error' in data) reject(new Error(data.error));
            else resolve(data.made);
            work();
        };
        worker.postMessage({ id, what, file });
    }
}

function start() {
    made += 1;
    return new Worker(policy ? policy.createScriptURL(SOURCE) : SOURCE, { type: 'module' });
}

const ask = (what, file) =>
    new Promise((resolve, reject) => {
        waiting[what].push({ what, file, resolve, reject });
        work();
    });

export const look = (file) => ask('look', file);
export const crc = (file) => ask('crc', file);

/** Forget what has not begun. */
export function forget() {
    waiting.look.length = 0;
}
