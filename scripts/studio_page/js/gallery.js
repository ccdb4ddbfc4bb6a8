// All scenes: pictures, search, what is being made, and how full the disk is.
import * as api from './api.js';
import { later, often } from './backend.js';
import { ICONS, el, icon } from './dom.js';
import { bytes, date, t, titleOf } from './text.js';

const EACH = 60;
const LEAST_FREE = 1e9; // bytes, below which hardly any scene can be made
const AGAIN = 4000; // milliseconds between two looks while something is being made
const posters = new Map();

export const nameOf = (run) => run.title || (run.scenes ?? []).map((scene) => titleOf(scene.scene ?? scene)).join(', ');

export function gallery(main) {
    let runs = [];
    let next = null;
    let stop = null;
    let ended = false;
    const search = el('input', { type: 'search', placeholder: t('gallery.search'), 'aria-label': t('gallery.search') });
    const list = el('ul.scenes');
    const count = el('p.quiet', { role: 'status' });
    const disk = el('p.quiet.disk');
    const full = el('p.note.warn', { hidden: true, role: 'status' }, t('gallery.full'));
    const more = el('button.plain.ring', { type: 'button', hidden: true, onclick: () => load(next) }, t('gallery.more'));
    const lost = el('p.note.warn', { hidden: true, role: 'status' }, t('lost'));
    const head = el('div.row.between', {}, el('h1', {}, t('gallery.title')), el('label.search', {}, icon(ICONS.search), search));
    const empty = welcome();
    const whole = el('div', {}, head, count, list, el('div.row', {}, more));
    whole.hidden = empty.hidden = true;
    main.append(el('div.wide', {}, lost, full, empty, whole, disk));

    const watch = new IntersectionObserver((entries) => {
        for (const { isIntersecting, target } of entries) {
            if (!isIntersecting) continue;
            watch.unobserve(target);
            picture(target.run).then((address) => {
                if (address) target.querySelector('.frame').replaceChildren(el('img', { src: address, alt: '', loading: 'lazy' }));
            });
        }
    });

    function show() {
        const words = search.value.trim().toLowerCase();
        const shown = runs.filter((run) => nameOf(run).toLowerCase().includes(words));
        empty.hidden = runs.length > 0;
        whole.hidden = runs.length === 0;
        count.textContent = shown.length ? t('gallery.count', { count: shown.length }) : t('gallery.none');
        const old = new Map([...list.children].map((item) => [`${item.run.id} ${item.run.state}`, item]));
        list.replaceChildren(...shown.map((run) => old.get(`${run.id} ${run.state}`) ?? tile(run)));
        more.hidden = next === null;
    }

    function tile(run) {
        const made = el(
            'li.scene',
            {},
            el(
                'a',
                { href: `#/job/${run.id}` },
                el(`span.frame.${run.state}`, {}, icon(run.state === 'failed' ? ICONS.warn : run.state === 'done' ? ICONS.photo : ICONS.dots)),
                el('b', {}, nameOf(run)),
                el('span.quiet', {}, el(`span.dot.${run.state}`), `${t(`state.${run.state}`)} · ${date(run.asked)}`),
            ),
        );
        made.run = run;
        watch.observe(made);
        return made;
    }

    async function load(after = null) {
        stop?.();
        try {
            const page = await api.jobs({ limit: EACH, ...(after ? { after } : {}) });
            if (ended) return;
            const fresh = new Set(page.jobs.map((run) => run.id));
            runs = after ? [...runs, ...page.jobs] : [...page.jobs, ...runs.slice(EACH).filter((run) => !fresh.has(run.id))];
            if (after || runs.length <= EACH) next = page.next;
            lost.hidden = true;
            show();
        } catch (error) {
            if (ended) return;
            lost.hidden = false;
            if (!runs.length) whole.hidden = false; // its heading says where one is
            const away = error instanceof api.Unreachable || (error.status >= 500 && error.status !== 507);
            lost.textContent = away ? t('lost') : t('failed.page', { why: error.message });
        }
        const busy = runs.some((run) => ['queued', 'running'].includes(run.state));
        if (!ended && (busy || !lost.hidden)) stop = later(load, often(AGAIN));
    }

    async function standing() {
        try {
            const told = await api.standing();
            if (told) full.hidden = told.free > LEAST_FREE;
            if (told) disk.textContent = t('gallery.disk', { used: bytes(told.uploads + told.scenes), free: bytes(told.free) });
        } catch {
            // Not worth a word of its own.
        }
    }

    search.addEventListener('input', show);
    load();
    standing();
    return () => {
        ended = true;
        stop?.();
        watch.disconnect();
    };
}

function welcome() {
    return el(
        'section.welcome',
        {},
        el('h1', {}, t('gallery.empty.title')),
        el('p', {}, t('gallery.empty.text')),
        el('a.button.large', { href: '#/new' }, t('gallery.empty.start')),
    );
}

/** The address of a picture of a run: its poster, or the sheet of its photos. */
async function picture(run) {
    const key = `${run.id} ${run.state}`;
    if (!posters.has(key)) {
        const found = await api.files(run.id).catch(() => []);
        const named = (name) => found.find((file) => file.name.endsWith(`/${name}`))?.url;
        const address = named('poster.jpg') ?? named('contact.jpg') ?? null;
        // A link works for an hour.
        if (run.state === 'done') setTimeout(() => posters.delete(key), 3000000);
        if (run.state === 'done' && address) posters.set(key, address);
        return address;
    }
    return posters.get(key);
}
