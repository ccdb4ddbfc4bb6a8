// Before anything is shown: who is there? A team's studio asks for its token, the cloud for an account.
import { call, wait } from './api.js';
import { backend, load, useSession } from './backend.js';
import { ICONS, dialog, el, icon } from './dom.js';
import { Unreachable } from './errors.js';
import { login } from './login.js';
import { NotSignedIn, Session } from './session.js';
import { has, t } from './text.js';

const ANSWERS = 'sign-in'; // the channel on which a window hands on what the provider has answered

/** Resolves once the views may be shown. */
export async function enter(main) {
    const given = /^#token=(.+)$/.exec(location.hash);
    if (given) {
        history.replaceState(null, '', '#/');
        await login(main, decodeURIComponent(given[1]));
    }
    for (let there = false; !there; ) {
        try {
            await load();
            there = true;
        } catch (error) {
            if (error.status === 401) {
                await login(main);
                continue;
            }
            main.replaceChildren(el('p.note.warn', { role: 'status' }, t('lost')));
            await wait(3000);
        }
    }
    if (backend().login) await signIn(main, backend().login);
}

async function signIn(main, provider) {
    const ways = document.querySelector('.bar nav');
    ways.hidden = true; // they lead nowhere before the door
    const made = new Session(provider);
    made.ask = () => again(made);
    useSession(made);
    let wrong = await returned(main, made);
    if (!made.there) await new Promise(() => { door(main, made, wrong); });
    account(made);
    try {
        await call('jobs?limit=1');
    } catch (error) {
        if (error.status === 403) await new Promise(() => { forbidden(main, made); });
        // The views tell of anything else.
    }
    ways.hidden = false;
}

/** Take the provider's answer, if the address has one; what was wrong with it. */
async function returned(main, made) {
    const query = new URLSearchParams(location.search);
    if (!query.has('state')) return '';
    history.replaceState(null, '', `${location.pathname}${location.hash}`);
    try {
        if (!made.knows(query.get('state')) && (await handedOn(query))) {
            main.replaceChildren(el('section.card.login', {}, el('h1', {}, t('signin.done')), el('p', {}, t('signin.done.text'))));
            window.close();
            await new Promise(() => {});
        }
        const hash = await made.finish(query);
        history.replaceState(null, '', hash || '#/');
        return '';
    } catch (error) {
        return words(error);
    }
}

function words(error) {
    if (error instanceof Unreachable) return t('signin.away');
    if (!(error instanceof NotSignedIn)) throw error;
    return has(error.message) ? t(error.message) : t('signin.failed', { why: error.message });
}

/** Whether another window of this page has begun this sign-in, and takes the answer. */
function handedOn(query) {
    const channel = new BroadcastChannel(ANSWERS);
    return new Promise((resolve) => {
        const end = (taken) => {
            channel.close();
            resolve(taken);
        };
        channel.onmessage = ({ data }) => data.taken === query.get('state') && end(true);
        channel.postMessage({ query: `${query}` });
        setTimeout(end, 1500, false);
    });
}

function door(main, made, wrong) {
    const go = async (event) => {
        event.target.disabled = true;
        location.assign(await made.begin(location.hash));
    };
    main.replaceChildren(
        el(
            'section.card.login',
            {},
            el('h1', {}, t('signin.title')),
            el('p.quiet', {}, t('signin.text')),
            el('p.wrong', { role: 'alert' }, wrong),
            el('button.button.large', { type: 'button', autofocus: true, onclick: go }, t('signin.go')),
        ),
    );
    document.documentElement.dataset.state = 'ready';
}

function forbidden(main, made) {
    const who = made.name ? t('signin.forbidden.who', { name: made.name }) : '';
    main.replaceChildren(
        el(
            'section.card.login',
            { role: 'alert' },
            el('h1', {}, icon(ICONS.warn), t('signin.forbidden')),
            el('p', {}, t('signin.forbidden.text'), ' ', who),
            el('button.button', { type: 'button', onclick: () => leave(made) }, t('signin.other')),
        ),
    );
    document.documentElement.dataset.state = 'ready';
}

const leave = (made) => location.assign(made.end());

/** The way out, in the bar at the top. */
function account(made) {
    const out = document.getElementById('leave');
    out.hidden = false;
    out.title = [t('signin.out'), made.name].filter(Boolean).join(' · ');
    out.addEventListener('click', () => leave(made));
}

/** The session has ended while the page is used: sign in by another window, so that what goes on here goes on. */
function again(made) {
    return dialog(t('signin.again'), (close) => {
        const channel = new BroadcastChannel(ANSWERS);
        const wrong = el('p.wrong', { role: 'alert' });
        channel.onmessage = async ({ data }) => {
            const query = new URLSearchParams(data.query ?? '');
            if (!made.knows(query.get('state'))) return;
            channel.postMessage({ taken: query.get('state') });
            try {
                await made.finish(query);
                channel.close();
                close(true);
            } catch (error) {
                wrong.textContent = words(error);
            }
        };
        const go = async () => {
            wrong.textContent = '';
            const address = await made.begin(location.hash, false);
            // Where windows are kept from opening, this page has to go.
            if (!window.open(address, '_blank', 'popup,width=520,height=760')) location.assign(await made.begin(location.hash));
        };
        return [
            el('p', {}, t('signin.again.text')),
            wrong,
            el(
                'div.row.end',
                {},
                el('button.plain.ring', { type: 'button', onclick: () => leave(made) }, t('signin.out')),
                el('button.button', { type: 'button', autofocus: true, onclick: go }, t('signin.go')),
            ),
        ];
    }).then(() => {
        if (!made.there) throw new Unreachable();
        // What is shown is another person's.
        if (made.subject && made.tokens.subject !== made.subject) location.reload();
    });
}
