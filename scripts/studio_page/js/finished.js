// A finished scene: to walk through in place, with its report, files and the code for other pages.
import * as api from './api.js';
import { ICONS, copy, el, icon } from './dom.js';
import { DELIVERABLES } from './form.js';
import { bytes, dollars, t, titleOf } from './text.js';

const WANTED = ['site.zip', 'splat.html', 'splat.clean.ply', 'splat.sog', 'splat.spz', 'tour.mp4', 'poster.jpg', 'undistorted.zip'];

export function finished(where, status) {
    for (const scene of status.scenes) {
        if (status.scenes.length > 1) where.append(el('h2', {}, titleOf(scene.scene)));
        if (scene.page) where.append(stage(scene));
    }
    if (status.trouble?.length) {
        where.append(el('p.note.warn', {}, t('job.trouble'), ' ', ...status.trouble));
    }
    const report = el('section.card');
    const downloads = el('section.card', {}, el('h2', {}, t('job.downloads')));
    const embed = embedding(status.scenes[0]);
    where.append(el('div.columns.even', {}, el('div', {}, report, embed), downloads));
    api.files(status.id).then((files) => {
        const reports = files.filter((file) => file.name.endsWith('/report.html'));
        report.append(
            el('h2', {}, t('job.report')),
            el('p.quiet', {}, t('job.report.hint')),
            ...reports.map((file) => el('p', {}, el('a.button', { href: file.url, target: '_blank', rel: 'noopener' }, t('file.report.html')))),
        );
        if (status.usd !== undefined) report.append(el('p.quiet', {}, t('job.cost', { usd: dollars(status.usd) })));
        fill(downloads, files);
    });
    return null;
}

function stage(scene) {
    const frame = el('iframe.scene', {
        src: scene.page,
        title: titleOf(scene.scene),
        allow: 'fullscreen; xr-spatial-tracking; gyroscope; accelerometer',
    });
    const link = el('a.plain', { href: scene.page, target: '_blank', rel: 'noopener' }, icon(ICONS.open), t('job.open'));
    return el('section.show', {}, frame, link);
}

function fill(card, files) {
    const wanted = [...WANTED.map((name) => [name, `file.${name}`]), ...DELIVERABLES.map(([key, name]) => [name, `deliver.${key}`])];
    const ranked = wanted.flatMap(([name, words]) => files.filter((file) => file.name.endsWith(`/${name}`)).map((file) => [name, file, words]));
    // From another host, a browser shows what it can instead of saving it: not in place of this page.
    const apart = (file) => (new URL(file.url, location.href).origin === location.origin ? {} : { target: '_blank', rel: 'noopener' });
    const row = (name, words, file) =>
        el('li', {}, el('a', { href: file.url, download: name.split('/').pop(), ...apart(file) }, icon(ICONS.download), el('span', {}, words, el('small.quiet', {}, `${name.split('/').pop()} · ${bytes(file.bytes)}`))));
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    card.append(
        el('ul.downloads', {}, ...ranked.map(([name, file, words]) => row(name, t(words), file))),
        el(
            'details',
            {},
            el('summary', {}, t('job.all'), ' ', el('small.quiet', {}, t('job.files', { count: files.length, size: bytes(total) }))),
            el('ul.files', {}, ...files.map((file) => el('li', {}, el('a', { href: file.url, target: '_blank', rel: 'noopener' }, file.name), el('small.quiet', {}, bytes(file.bytes))))),
        ),
    );
}

function embedding(scene) {
    const published = scene?.page && new URL(scene.page, location.href).host !== location.host;
    const address = published ? scene.page : 'https://example.org/scene/';
    const code = `<iframe src="${address}" title="${titleOf(scene?.scene ?? '')}" width="800" height="500" allow="fullscreen" loading="lazy"></iframe>`;
    const field = el('textarea.code', { readOnly: true, rows: 3, value: code, 'aria-label': t('job.embed') });
    const button = el('button.plain.ring', { type: 'button', onclick: async () => {
        button.textContent = (await copy(code, field)) ? t('job.copied') : t('job.copy');
        setTimeout(() => { button.textContent = t('job.copy'); }, 2000);
    } }, t('job.copy'));
    return el('section.card', {}, el('h2', {}, t('job.embed')), el('p.quiet', {}, t(published ? 'job.embed.published' : 'job.embed.hint')), field, button);
}
