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
    let shown = '';

    /** The scene as its training sees it by now; the picture before stays until the next one has come. */
    function picture({ picture: address }) {
        if (address === shown) return;
        shown = address;
        const step = Number(new URL(address).searchParams.get('step'));
        const made = el('img', { src: address, alt: t('job.live') });
        const words = el('small.quiet', {}, t('job.live.step', { step }));
        made.decode().then(() => {
            if (address !== shown) return;
            preview.replaceChildren(made, words);
            seen.hidden = false;
        }, () => {});
    }

    return (status) => {
        const several = status.scenes.length > 1;
        const rows = status.scenes.flatMap((scene) => [
            several ? el('li.which', {}, el('b', {}, titleOf(scene.scene))) : null,
            ...(scene.stages ?? []).map((stage) => row(stage, scene.training)),
        ]);
        list.replaceChildren(...rows.filter(Boolean));
        list.parentElement.hidden = !rows.filter(Boolean).length;
        const done = status.scenes.flatMap((scene) => (scene.stages ?? []).filter((s) => s.state === 'done').map((s) => s.name)).join();
        const live = status.scenes.find((scene) => scene.training?.picture)?.training;
        if (live) picture(live);
        else if (done !== said || !said) look(id, preview, seen);
        said = done;
    };
}

/** One stage: what it took, or how long it still takes where its own pace is known. */
function row({ name, state, seconds: took, eta_seconds: left }, training) {
    const words = has(`stage.${name}`) ? t(`stage.${name}`) : titleOf(name);
    const mark = el(`span.mark.${state}`, {}, MARKS[state] ? icon(MARKS[state]) : '');
    let told = t(`mark.${state}`);
    if (state === 'done' && took !== undefined) told = seconds(took);
    else if (left !== undefined) told = t(state === 'running' ? 'mark.left' : 'mark.about', { time: seconds(left) });
    const trains = state === 'running' && training && name === 'train_splat';
    const bar = trains && el('progress.thin', { max: training.steps, value: training.step, 'aria-label': t('job.training') });
    const more = trains && el('small.quiet', {}, trainingWords(training));
    return el(`li.${state}`, state === 'running' ? { 'aria-current': 'step' } : {}, mark, el('span', {}, words, more || '', bar || ''), el('small.quiet', {}, told));
}

function trainingWords({ step, steps, gaussians, psnr }) {
    const said = [t('training.steps', { step, steps }), t('training.gaussians', { count: gaussians })];
    if (psnr !== undefined) said.push(t('training.psnr', { psnr }));
    return said.join(' · ');
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
