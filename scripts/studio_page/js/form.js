// What is asked about a scene: as sections of the configuration, with defaults that publish as little as possible.
import { el } from './dom.js';
import { t } from './text.js';

const LICENCES = {
    none: '',
    reserved: 'All rights reserved',
    by: 'CC BY 4.0',
    bysa: 'CC BY-SA 4.0',
    nc: 'CC BY-NC 4.0',
    cc0: 'CC0 1.0',
};
// Files for other programs: name, file in the scene's folder, whether it needs a position on the Earth.
export const DELIVERABLES = [
    ['tiles', 'geo/tiles.3tz', true],
    ['glb', 'scene.glb', false],
    ['spz3', 'scene.spz', false],
    ['spz4', 'scene.v4.spz', false],
    ['usd', 'scene.usdz', false],
    ['ply', 'scene.ply', false],
    ['walk', 'walk.zip', false],
    ['points', 'geo/points.laz', true],
    ['ortho', 'geo/ortho.tif', true],
    ['dsm', 'geo/dsm.tif', true],
    ['trust', 'geo/trust.tif', true],
];
const PRESETS = ['draft', 'standard', 'high'];

/** The quality, as a group of three; `value()` tells which. */
export function presets(chosen) {
    const group = el('fieldset.presets', {}, el('legend', {}, t('form.preset')));
    for (const name of PRESETS) {
        const input = el('input', { type: 'radio', name: 'preset', value: name, checked: name === chosen });
        const words = el('span', {}, el('b', {}, t(`form.${name}`)), el('small', {}, t(`form.${name}.hint`)));
        group.append(el('label.preset', {}, input, words));
    }
    return { group, value: () => group.querySelector('input:checked').value };
}

/** An input with its label, and a hint if there is one. */
export function field(id, label, hint, input) {
    const parts = [el('label', { htmlFor: id }, label), input];
    input.id = id;
    if (hint) {
        parts.push(el('small.quiet', { id: `${id}-hint` }, hint));
        input.setAttribute('aria-describedby', `${id}-hint`);
    }
    return el('div.field', {}, ...parts);
}

function choice(id, label, hint) {
    const input = el('input', { type: 'checkbox', id, 'aria-describedby': `${id}-hint` });
    const words = el('span', {}, label, el('small.quiet', { id: `${id}-hint` }, hint));
    return { input, row: el('label.choice', { htmlFor: id }, input, words) };
}

/** The files for other programs, folded away; `value()` is a list of names, `placed(known)` whether there is GPS. */
export function deliverables(wanted = []) {
    const boxes = DELIVERABLES.map(([name, , placed]) => ({ name, placed, input: el('input', { type: 'checkbox', checked: wanted.includes(name) }) }));
    const rows = boxes.map(({ name, placed, input }) =>
        el('label.choice', {}, input, el('span', {}, t(`deliver.${name}`), placed ? el('small.quiet', {}, t('deliver.placed')) : '')),
    );
    const group = el('details.deliver', {}, el('summary', {}, t('form.deliver')), el('p.quiet', {}, t('form.deliver.hint')), ...rows);
    return {
        group,
        value: () => boxes.filter(({ input }) => input.checked && !input.disabled).map(({ name }) => name),
        placed: (known) => {
            for (const { placed, input } of boxes) input.disabled = placed && !known;
        },
    };
}

/** {parts, title, options(), placed(known)}: what is filled in. */
export function sceneForm() {
    const remembered = JSON.parse(localStorage.getItem('form') || '{}');
    const title = el('input', { type: 'text', required: true, maxLength: 120, autocomplete: 'off' });
    const quality = presets(remembered.preset ?? 'standard');
    const credit = el('input', { type: 'text', maxLength: 200, value: remembered.credit ?? '', autocomplete: 'name' });
    const licence = el('select', {});
    for (const key of Object.keys(LICENCES)) {
        licence.append(el('option', { value: key, selected: key === remembered.licence }, t(`form.licence.${key}`)));
    }
    const place = choice('place', t('form.place'), t('form.place.hint'));
    const metadata = choice('metadata', t('form.metadata'), t('form.metadata.hint'));
    const more = deliverables();
    const consent = el('input', { type: 'text', maxLength: 500 });
    const parts = [
        el('h2', {}, t('form.title')),
        field('title', t('form.name'), t('form.name.hint'), title),
        quality.group,
        el('div.pair', {}, field('credit', t('form.credit'), '', credit), field('licence', t('form.licence'), '', licence)),
        more.group,
        el(
            'fieldset.privacy',
            {},
            el('legend', {}, t('form.privacy')),
            place.row,
            metadata.row,
            field('consent', t('form.consent'), t('form.consent.hint'), consent),
        ),
    ];
    const options = () => {
        const chosen = { preset: quality.value(), credit: credit.value.trim(), licence: licence.value };
        localStorage.setItem('form', JSON.stringify(chosen));
        const web = { title: title.value.trim(), credit: chosen.credit, licence: LICENCES[chosen.licence] };
        if (place.input.checked) web.coordinates = true;
        if (consent.value.trim()) web.consent = consent.value.trim();
        return {
            preset: chosen.preset,
            bundle_web: web,
            ...(more.value().length ? { deliver: more.value().join(', ') } : {}),
            ...(metadata.input.checked ? { import_photos: { keep_metadata: true } } : {}),
        };
    };
    return { parts, title, options, placed: more.placed };
}
