// What a person does with a run: delete it, or let it run again with other options.
import * as api from './api.js';
import { dialog, el, say } from './dom.js';
import { deliverables, field, presets } from './form.js';
import { nameOf } from './gallery.js';
import { isMapped, withQuality } from './quality.js';
import { t } from './text.js';

/** Ask, then delete a run and its uploads; whether it was deleted. `begin` is called when it starts. */
export async function erase(id, name, begin) {
    const sure = await dialog(t('delete.title', { name }), (close) => [
        el('p', {}, t('delete.text')),
        el(
            'div.row.end',
            {},
            el('button.plain.ring', { type: 'button', autofocus: true, onclick: () => close(false) }, t('cancel')),
            el('button.button.danger', { type: 'button', onclick: () => close(true) }, t('delete.yes')),
        ),
    ]);
    if (!sure) return false;
    begin();
    say(t('delete.busy'));
    const status = await api.job(id);
    await api.remove(id);
    for (const source of new Set(status.scenes.map((scene) => scene.source).filter(Boolean))) {
        const token = source.split('/').at(-2);
        // Another run may have deleted it already.
        await api.call(`uploads/${token}`, { method: 'DELETE' }).catch(() => {});
    }
    say(t('delete.done', { name }));
    return true;
}

/** Options of a run as it was started. */
const optionsOf = async (id) => (await api.job(id)).options ?? {};

/** Ask for another title, quality or more files, then let the run go on with them; whether it does. */
export async function again(id, status) {
    const before = status.options ?? {};
    const quality = presets(before.preset ?? 'standard');
    const title = field('again-title', t('form.name'), '', el('input', { type: 'text', maxLength: 120, value: nameOf(status) }));
    const more = deliverables(String(before.deliver ?? '').split(/[ ,]+/));
    const chosen = () => {
        const words = title.querySelector('input').value.trim();
        const made = withQuality(before, quality.value(), isMapped(status));
        if (words && words !== nameOf(status)) made.bundle_web = { ...made.bundle_web, title: words };
        delete made.deliver;
        if (more.value().length) made.deliver = more.value().join(', ');
        return made;
    };
    const wanted = await dialog(t('retry.title'), (close) => [
        el('p.quiet', {}, t('retry.hint')),
        title,
        quality.group,
        more.group,
        el(
            'div.row.end',
            {},
            el('button.plain.ring', { type: 'button', onclick: () => close(null) }, t('cancel')),
            el('button.button', { type: 'button', onclick: () => close(chosen()) }, t('retry.start')),
        ),
    ]);
    if (!wanted) return false;
    await api.retry(id, { options: wanted });
    return true;
}
again.options = optionsOf;
