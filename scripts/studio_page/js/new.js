// A new scene: drop photos, see what each is worth, say what the scene is called, and start.
import { backend } from './backend.js';
import { card } from './card.js';
import { detecting } from './detect.js';
import { ICONS, el, icon, say } from './dom.js';
import { sceneForm } from './form.js';
import { draw, plan } from './map.js';
import { paintMask } from './mask.js';
import { Photos, chosen, filesOf } from './photos.js';
import { progress } from './progress.js';
import { send, sending } from './sending.js';
import { bytes, t } from './text.js';
import { forgetPending, pending } from './upload.js';
import { crc } from './workers.js';
import { Zip } from './zip.js';

const SHOWN = 120; // tiles at first, and more each time
const FEW = 12;
let photos = null; // kept while other views are shown

export function newScene(main) {
    if (sending()) return progress(main);
    let filter = 'all';
    let limit = SHOWN;
    const tiles = new Map();
    photos ??= new Photos(() => {});

    const trouble = el('p.wrong', { role: 'alert' });
    const files = el('input.unseen', { type: 'file', multiple: true, id: 'files', tabIndex: -1, 'aria-hidden': 'true' });
    const folder = el('input.unseen', { type: 'file', webkitdirectory: true, id: 'folder', tabIndex: -1, 'aria-hidden': 'true' });
    const headline = el('b', {});
    const zone = el(
        'div.zone',
        {},
        icon(ICONS.upload),
        headline,
        el(
            'p',
            {},
            el('button.plain.ring', { type: 'button', onclick: () => files.click() }, t('new.choose.photos')),
            ' ',
            el('button.plain.ring', { type: 'button', onclick: () => folder.click() }, t('new.choose.folder')),
        ),
        el('small.quiet', {}, t('new.hint')),
        files,
        folder,
    );
    const left = pending();
    const resume =
        left &&
        el('p.note', {}, t('new.resume', { name: left.name }), ' ', el('button.plain', { type: 'button', onclick: () => { forgetPending(); resume.remove(); } }, t('new.forget')));
    const chips = el('div.chips', { role: 'group' });
    const grid = el('ul.photos');
    const more = el('button.plain.ring', { type: 'button', onclick: () => { limit += SHOWN; refresh(); } });
    const counts = el('p.quiet');
    const bar = el('progress.thin', { max: 1, value: 0, 'aria-label': t('photo.wait') });
    const map = el('canvas.map', { role: 'img' });
    const mapWords = el('p.quiet');
    const mapBox = el('section.card', { hidden: true }, map, mapWords);
    const form = sceneForm();
    const size = el('span.quiet');
    const start = el('button.button.large', { type: 'submit' }, t('form.start'));
    const detector = detecting(
        () => photos.photos.filter((photo) => photo.used && photo.seen && !photo.mask),
        (found) => {
            if (found) filter = 'masked';
            refreshNow();
        },
    );
    if (backend().detector) detector.offer();
    const sheet = el('form.card.form', { noValidate: true, onsubmit: begin }, ...form.parts, el('p.note', {}, t('form.masks')), detector.box, el('div.row', {}, start, size));
    const clear = el('button.plain', { type: 'button', onclick: () => photos.clear() }, t('new.clear'));
    const seen = el('section', {}, el('div.row.between', {}, counts, clear), bar, chips, grid, more, mapBox);
    main.append(el('div.wide', {}, el('h1', {}, t('nav.new')), resume || '', zone, trouble, el('div.columns', {}, seen, sheet)));

    async function take(found) {
        trouble.textContent = '';
        const before = photos.empty;
        const wrong = photos.add(found);
        if (wrong) trouble.textContent = t(wrong);
        else if (photos.empty) trouble.textContent = t('new.nothing');
        if (before && !photos.empty && !form.title.value) {
            const [first] = [photos.zip ?? photos.videos[0], ...found].filter(Boolean);
            const top = first.path.includes('/') ? first.path.split('/')[0] : first.path.replace(/\.\w+$/, '');
            if (first.path.includes('/') || photos.zip || (photos.videos.length && !photos.photos.length)) {
                form.title.value = top.replace(/[_-]+/g, ' ').trim();
            }
        }
    }

    function flagsOf(photo) {
        const all = [...photo.flags, ...(photo.mask ? ['masked'] : []), ...(photo.used ? [] : ['out'])];
        return photo.looked && !photo.flags.length ? [...all, 'good'] : all;
    }

    function refreshNow() {
        const { length } = photos.photos;
        headline.textContent = t(photos.empty ? 'new.drop' : 'new.drop.more');
        zone.classList.toggle('small', !photos.empty);
        seen.hidden = sheet.hidden = photos.empty;
        const looked = photos.photos.filter((photo) => photo.looked).length;
        bar.hidden = looked === length;
        bar.value = length ? looked / length : 0;
        const used = photos.photos.filter((photo) => photo.used).length;
        const said = [];
        if (length) said.push(t('new.used', { count: used }));
        if (photos.zip) said.push(photos.zip.path);
        if (photos.videos.length) said.push(t('new.videos', { count: photos.videos.length }));
        if (photos.beside.length) said.push(t('new.beside', { count: photos.beside.length }));
        if (photos.others) said.push(t('new.others', { count: photos.others }));
        if (length && used < FEW && !photos.videos.length && looked === length) said.push(t('new.few'));
        counts.textContent = said.join(' · ');
        if (looked < length) say(t('new.looking', { done: looked, count: length }));
        refreshChips();
        const wanted = photos.photos.filter((photo) => filter === 'all' || flagsOf(photo).includes(filter));
        grid.replaceChildren(...wanted.slice(0, limit).map(tileOf));
        more.hidden = wanted.length <= limit;
        more.textContent = t('new.more', { count: Math.min(SHOWN, wanted.length - limit) });
        refreshMap();
        const total = photos.zip ? photos.zip.file.size : photos.entries().reduce((sum, { file }) => sum + file.size, 0);
        size.textContent = t('form.size', { size: bytes(total) });
        start.disabled = !total;
    }

    let asked = null;
    function refresh() {
        asked ??= setTimeout(() => {
            asked = null;
            refreshNow();
        }, photos.photos.length > 1000 ? 400 : 60); // all of them are counted anew each time
    }

    function tileOf(photo) {
        if (!tiles.has(photo)) tiles.set(photo, card(photo, refresh, paint));
        const tile = tiles.get(photo);
        tile.refresh();
        return tile;
    }

    async function paint(photo) {
        const made = await paintMask(photo);
        if (made === undefined) return;
        photo.mask = made;
        if (made) Object.assign(photo, { used: true, by: 'person' });
        refresh();
    }

    function refreshChips() {
        const found = new Map();
        for (const photo of photos.photos) for (const flag of flagsOf(photo)) found.set(flag, (found.get(flag) ?? 0) + 1);
        if (filter !== 'all' && !found.has(filter)) filter = 'all';
        const names = ['all', 'good', 'blurred', 'copy', 'dark', 'bright', 'nogps', 'unseen', 'masked', 'out'];
        const shown = names.filter((name) => name === 'all' || found.has(name));
        chips.hidden = photos.photos.length === 0;
        const made = shown.map((name) =>
            el(
                'button.chip',
                {
                    type: 'button',
                    'aria-pressed': String(name === filter),
                    onclick: () => {
                        filter = name;
                        limit = SHOWN;
                        refreshNow();
                        chips.querySelector('[aria-pressed=true]')?.focus();
                    },
                },
                t(name === 'all' ? 'new.all' : `flag.${name}`),
                el('small', {}, String(name === 'all' ? photos.photos.length : found.get(name))),
            ),
        );
        chips.replaceChildren(...made);
    }

    function refreshMap() {
        const { places } = photos;
        // A zip, a video or a table beside the photos may have positions that the page does not see.
        form.placed(places.length > 2 || photos.zip || photos.videos.length || photos.beside.length);
        mapBox.hidden = places.length < 2;
        if (mapBox.hidden) return;
        const shown = plan(places);
        mapWords.textContent = t('new.map', { count: places.length, width: Math.round(shown.width) });
        map.setAttribute('aria-label', mapWords.textContent);
        draw(map, shown);
    }

    async function begin(event) {
        event.preventDefault();
        if (!form.title.value.trim()) {
            trouble.textContent = t('form.name.missing');
            form.title.setAttribute('aria-invalid', 'true');
            form.title.focus();
            return;
        }
        const title = form.title.value.trim();
        const only = photos.zip ?? (photos.videos.length === 1 && !photos.photos.length && !photos.beside.length ? photos.videos[0] : null);
        const entries = only ? [{ name: only.path, file: only.file }] : photos.entries();
        const data = only ? only.file : new Zip(entries, crc);
        const suffix = only ? only.path.split('.').pop() : 'zip';
        const options = form.options();
        const sent = send({ title, data, entries, suffix, options });
        main.replaceChildren();
        leave();
        const end = progress(main);
        try {
            const id = await sent;
            photos.clear();
            photos = null;
            if (location.hash.startsWith('#/new')) location.hash = `#/job/${id}`;
        } catch (error) {
            end();
            if (!location.hash.startsWith('#/new')) return;
            main.replaceChildren();
            newScene(main);
            if (error.name !== 'AbortError') {
                const why = error.name === 'NotReadableError' ? t('send.changed', { why: error.message }) : t('failed.page', { why: error.message });
                main.querySelector('[role=alert]').textContent = why;
            }
        }
    }

    const over = (event) => {
        event.preventDefault();
        zone.classList.toggle('over', event.type === 'dragover');
    };
    const drop = async (event) => {
        event.preventDefault();
        zone.classList.remove('over');
        take(await filesOf(event.dataTransfer));
    };
    files.addEventListener('change', () => take(chosen(files.files)));
    folder.addEventListener('change', () => take(chosen(folder.files)));
    addEventListener('dragover', over);
    addEventListener('dragleave', over);
    addEventListener('drop', drop);
    addEventListener('resize', refresh);
    photos.changed = refresh;
    refreshNow();

    function leave() {
        removeEventListener('dragover', over);
        removeEventListener('dragleave', over);
        removeEventListener('drop', drop);
        removeEventListener('resize', refresh);
        detector.end();
        clearTimeout(asked);
        if (photos) photos.changed = () => {};
    }
    return leave;
}
