// The job API (openapi.json): the same calls whether it runs on this computer or in the cloud.
import { backend, later, load, often, session } from './backend.js';
import { Refused, Unreachable } from './errors.js';

export { Refused, Unreachable };

const PASSING = [429, 500, 502, 503, 504];
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The API's answer, with the token of whoever is signed in; a token that it does not take is renewed once. */
async function asked(path, request) {
    const who = session();
    for (let refused; ; ) {
        const token = await who?.token(refused);
        const headers = token ? { ...request.headers, Authorization: `Bearer ${token}` } : request.headers;
        let answer;
        try {
            answer = await fetch(`${backend().api}${path}`, { ...request, headers, cache: 'no-store' });
        } catch {
            // A gateway may refuse a token without the headers that let a page read its answer.
            if (!who?.doubtful || refused) throw new Unreachable();
            refused = token;
            continue;
        }
        if (answer.status !== 401 || !who || refused) return answer;
        refused = token;
    }
}

async function once(path, { method = 'GET', body, key, headers = {} } = {}) {
    const sent = { ...headers };
    if (body !== undefined) sent['Content-Type'] = 'application/json';
    if (key) sent['Idempotency-Key'] = key;
    const answer = await asked(path, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    let told = null;
    try {
        told = JSON.parse(text);
    } catch {
        // Not the API's own answer.
    }
    if (!answer.ok) throw new Refused(answer.status, told?.error || told?.message || `${answer.status}`);
    return told;
}

/** A call; `patient` asks again while the fault may pass, for about half a minute. */
export async function call(path, options = {}) {
    for (let n = 0; ; n += 1) {
        try {
            return await once(path, options);
        } catch (error) {
            const passing = error instanceof Unreachable || (PASSING.includes(error.status) && error.status !== 429);
            if (!options.patient || !passing || n >= 5) throw error;
            await wait(Math.min(8000, 500 * 2 ** n));
        }
    }
}

export const jobs = (query = {}) => call(`jobs?${new URLSearchParams(query)}`);
export const job = (id) => call(`jobs/${id}`);
export const submit = (body, key) => call('jobs', { method: 'POST', body, key, patient: true });
export const retry = (id, body) => call(`jobs/${id}/retry`, { method: 'POST', body });
export const stop = (id) => call(`jobs/${id}`, { method: 'DELETE' });

/** How full this computer's disk is; null in the cloud, which has none. */
export const standing = async () => (backend().disk ? (await load()).disk : null);

/** Delete a run with all that it made; asks again while its programs end. */
export async function remove(id) {
    for (let n = 0; n < 120; n += 1) {
        const told = await call(`jobs/${id}?data=true`, { method: 'DELETE', patient: true });
        if (told.state !== 'stopping') return;
        await wait(Math.min(5000, 500 + 100 * n)); // machines of a cloud take minutes to stop
    }
    throw new Unreachable();
}

/** All files of a run. */
export async function files(id) {
    const found = [];
    for (let after; ; ) {
        const page = await call(`jobs/${id}/files?${new URLSearchParams({ limit: 200, ...(after ? { after } : {}) })}`);
        found.push(...page.files);
        if (page.next === null) return found;
        after = page.next;
    }
}

/** Follow a run: `told(status)` for each news, `away(true or false, error)` when the server is lost and found. */
export function follow(id, told, away, gone) {
    let ended = false;
    let source;
    let stop;
    const news = (status) => {
        away(false);
        told(status);
        if (!['queued', 'running'].includes(status.state)) close();
    };
    const close = () => {
        ended = true;
        source?.close();
        stop?.();
    };
    const ask = async () => {
        try {
            const status = await job(id);
            if (!ended) news(status);
        } catch (error) {
            if (ended) return;
            if (error.status === 404) {
                close();
                gone();
                return;
            }
            away(true, error);
        }
        if (!ended) stop = later(ask, often(3000));
    };
    const listen = () => {
        source = new EventSource(`jobs/${id}/events`);
        source.onmessage = (event) => news(JSON.parse(event.data));
        source.addEventListener('gone', () => {
            close();
            gone();
        });
        // The browser connects again by itself, unless the server sends no events.
        source.onerror = () => {
            away(true);
            if (source.readyState === EventSource.CLOSED && !ended) ask();
        };
    };
    if (backend().events) listen();
    else ask();
    return close;
}
