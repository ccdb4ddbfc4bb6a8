// One scene: how far it is, what stopped it, or the finished scene with all that belongs to it.
import * as api from './api.js';
import { erase, again } from './actions.js';
import { ICONS, el, icon, say } from './dom.js';
import { nameOf } from './gallery.js';
import { finished } from './finished.js';
import { stages } from './stages.js';
import { date, dollars, seconds, t } from './text.js';

export function job(main, id) {
    const back = el('a.plain.back', { href: '#/' }, `← ${t('job.back')}`);
    const heading = el('h1', {}, ' ');
    const about = el('p.quiet');
    const buttons = el('div.row');
    const lost = el('p.note.warn', { hidden: true, role: 'status' }, t('lost'));
    const body = el('div.body');
    main.append(el('div.wide', {}, back, el('div.row.between', {}, el('div', {}, heading, about), buttons), lost, body));
    let before = '';
    let shown = null; // of the state that is shown: what takes the news
    let end = null;

    function told(status) {
        heading.textContent = nameOf(status);
        document.title = `${heading.textContent} · splatmake studio`;
        about.replaceChildren(el(`span.dot.${status.state}`), `${t(`state.${status.state}`)} · ${t('job.asked', { when: date(status.asked) })}`);
        if (status.state !== before) {
            if (before) say(t(`state.${status.state}`));
            before = status.state;
            buttons.replaceChildren(...actions(status));
            body.replaceChildren();
            const views = { queued: waiting, running, done: finished, failed: problem, stopped };
            shown = views[status.state](body, status);
        }
        shown?.(status);
    }

    function actions(status) {
        const go = (act) => async (event) => {
            event.target.disabled = true;
            try {
                await act();
            } catch (error) {
                lost.hidden = false;
                lost.textContent = t('failed.page', { why: error.message || t('lost') });
            }
            event.target.disabled = false;
        };
        const active = ['queued', 'running'].includes(status.state);
        const made = [];
        if (active) made.push(el('button.plain.ring', { type: 'button', onclick: go(() => api.stop(id).then(follow)) }, t('job.stop')));
        else made.push(el('button.plain.ring', { type: 'button', onclick: go(async () => (await again(id, status)) && follow()) }, t('job.change')));
        made.push(
            el('button.plain.ring.danger', { type: 'button', onclick: go(async () => {
                if (await erase(id, nameOf(status), () => end?.())) location.hash = '#/';
            }) }, t('job.delete')),
        );
        return made;
    }

    /** Trouble while a run goes on is told at once; `retry` lets it go on. */
    function problem(where, status) {
        const force = /map_scene\.force/.test(status.cause ?? '');
        const scene = status.scenes.find((one) => one.stages?.some((stage) => stage.state === 'failed')) ?? status.scenes[0];
        const failed = scene?.stages?.find((stage) => stage.state === 'failed');
        const go = (options) => async (event) => {
            event.target.disabled = true;
            await api.retry(id, options ? { options } : {}).then(follow, (error) => {
                lost.hidden = false;
                lost.textContent = t('failed.page', { why: error.message || t('lost') });
                event.target.disabled = false;
            });
        };
        const log = el('a', { target: '_blank', rel: 'noopener', hidden: true }, t('problem.log'));
        where.append(
            el(
                'section.card.problem',
                { role: 'alert' },
                el('h2', {}, icon(ICONS.warn), t('problem.title')),
                failed ? el('p.quiet', {}, stageName(failed.name)) : '',
                // What the button below does, the person need not set by hand.
                el('p.big', {}, (status.cause ?? '').replace(/ ?To continue anyway, set map_scene\.force to true\.?/, '')),
                force ? el('p', {}, el('b', {}, t('problem.photos')), el('br'), t('problem.photos.hint')) : '',
                el(
                    'div.row',
                    {},
                    el('button.button', { type: 'button', onclick: go() }, t('problem.again')),
                    force ? el('button.plain.ring', { type: 'button', onclick: async (event) => go(await withForce(event))(event) }, t('problem.force')) : '',
                    el('a.plain', { href: '#/new' }, t('nav.new')),
                ),
                el('p', {}, log),
            ),
        );
        if (failed) {
            api.files(id).then((files) => {
                const found = files.find((file) => file.name === `logs/${scene.scene}/${failed.name}.log`);
                if (found) Object.assign(log, { href: found.url, hidden: false });
            }, () => {});
        }
        return stages(where, id);
    }

    async function withForce() {
        return { ...(await again.options(id)), map_scene: { force: true } };
    }

    function stopped(where, status) {
        const go = async (event) => {
            event.target.disabled = true;
            await api.retry(id, {}).then(follow, (error) => {
                lost.hidden = false;
                lost.textContent = error.message;
                event.target.disabled = false;
            });
        };
        where.append(el('section.card', {}, el('p.big', {}, t('job.stopped')), el('button.button', { type: 'button', onclick: go }, t('job.retry'))));
        return stages(where, id);
    }

    function follow() {
        end?.();
        end = api.follow(
            id,
            told,
            (away, error) => {
                // Such as a disk that is full or gone.
                lost.textContent = error?.status >= 500 && error.status !== 503 ? t('failed.page', { why: error.message }) : t('lost');
                lost.hidden = !away;
            },
            () => body.replaceChildren(el('p.center', {}, t('job.gone'))),
        );
    }
    follow();
    return () => end?.();
}

const stageName = (name) => t(`stage.${name}`);

function waiting(where) {
    const words = el('p.big');
    const more = el('p.quiet');
    where.append(el('section.card', {}, el('div.pulse'), words, more, el('p.quiet', {}, t('job.safe'))));
    return (status) => {
        words.textContent = t('job.waits');
        const count = Number.parseInt(status.waiting?.queue, 10);
        more.textContent = Number.isFinite(count) ? t('job.queue', { count }) : Object.values(status.waiting ?? {}).join(' ');
    };
}

function running(where, status) {
    const bar = el('progress', { max: 100, value: 0, 'aria-label': t('job.progress') });
    const percent = el('p.huge');
    const left = el('p.quiet');
    where.append(el('section.card', {}, percent, bar, left, el('p.quiet', {}, t('job.safe'))));
    const next = stages(where, status.id);
    return (told) => {
        bar.value = told.percent ?? 0;
        percent.textContent = `${Math.floor(told.percent ?? 0)} %`;
        left.textContent = told.eta_seconds === null ? t('job.estimating') : t('job.left', { time: seconds(told.eta_seconds) });
        const why = Object.values(told.waiting ?? {});
        if (why.length) left.textContent += ` ${why.join(' ')}`;
        next(told);
    };
}

export { dollars };
