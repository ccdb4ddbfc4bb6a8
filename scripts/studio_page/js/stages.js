// The stages of a run with what each took, and what there is to see of the scene so far.
import * as api from './api.js';
import { ICONS, el, icon } from './dom.js';
import { cloud } from './points.js';
import { has, seconds, t, titleOf } from './text.js';

const MARKS = { done: ICONS.check, failed: ICONS.cross };

/** Shows them below `where`; gives what takes each news. */
export function stages(where, id) {
    const list = el('ol.stages');
    const preview = el('div.preview');
    const seen = el('section.card', { hidden: true }, el('h2', {}, t('job.preview')), preview);
    where.append(el('div.columns.even', {}, el('section.card', {}, el('h2', {}, t('job.stages')), list), seen));
    let said = '';
    return (status) => {
        const several = status.scenes.length > 1;
        const rows = status.scenes.flatMap((scene) => [
            several ? el('li.which', {}, el('b', {}, titleOf(scene.scene))) : null,
            ...(scene.stages ?? []).map(row),
        ]);
        list.replaceChildren(...rows.filter(Boolean));
        list.parentElement.hidden = !rows.filter(Boolean).length;
        const done = status.scenes.flatMap((scene) => (scene.stages ?? []).filter((s) => s.state === 'done').map((s) => s.name)).join();
        if (done !== said || !said) {
            said = done;
            look(id, preview, seen);
        }
    };
}

function row({ name, state, seconds: took }) {
    const words = has(`stage.${name}`) ? t(`stage.${name}`) : titleOf(name);
    const mark = el(`span.mark.${state}`, {}, MARKS[state] ? icon(MARKS[state]) : '');
    const told = state === 'done' && took !== undefined ? seconds(took) : t(`mark.${state}`);
    return el(`li.${state}`, state === 'running' ? { 'aria-current': 'step' } : {}, mark, el('span', {}, words), el('small.quiet', {}, told));
}

/** The latest picture of the scene: its poster, else the cloud of points, else the sheet of its photos. */
async function look(id, preview, seen) {
    const files = await api.files(id).catch(() => []);
    const named = (name) => files.find((file) => file.name.endsWith(`/${name}`));
    const poster = named('poster.jpg') ?? (named('sparse/points3D.bin') ? null : named('contact.jpg'));
    const points = named('sparse/points3D.bin');
    if (poster) {
        preview.replaceChildren(el('img', { src: poster.url, alt: '' }));
        seen.hidden = false;
    } else if (points && !preview.querySelector('canvas')) {
        const canvas = await cloud(points).catch(() => null);
        if (canvas) {
            preview.replaceChildren(canvas);
            seen.hidden = false;
        }
    }
}
