// A photo of a new scene: its picture, what speaks against it, and whether it is used.
import { ICONS, el, icon } from './dom.js';
import { t } from './text.js';

/** The tile of a photo; `change(photo)` when its box is ticked, `paint(photo)` when its brush is pressed. */
export function card(photo, change, paint) {
    const name = photo.path.split('/').pop();
    const box = el('input', { type: 'checkbox', 'aria-label': t('photo.use', { name }) });
    box.addEventListener('change', () => {
        photo.used = box.checked;
        photo.by = 'person';
        change(photo);
    });
    const picture = el('img', { alt: '', decoding: 'async', width: 240, height: 160 });
    const cover = el('img.cover', { alt: '' });
    const brush = el(
        'button.brush',
        { type: 'button', 'aria-label': t('photo.mask', { name }), title: t('photo.mask', { name }), onclick: () => paint(photo) },
        icon(ICONS.brush),
    );
    const flags = el('span.flags');
    const tile = el('li.photo', {}, el('label', {}, box, picture, cover), brush, flags, el('span.name', { title: photo.path }, name));
    tile.refresh = () => {
        box.checked = photo.used;
        tile.classList.toggle('out', !photo.used);
        tile.classList.toggle('wait', !photo.looked);
        if (photo.address && picture.src !== photo.address) picture.src = photo.address;
        brush.hidden = !photo.seen;
        cover.hidden = !photo.mask;
        if (photo.mask && cover.src !== photo.mask.cover) cover.src = photo.mask.cover;
        const said = photo.looked ? [...photo.flags, ...(photo.mask ? ['masked'] : [])] : [];
        if (photo.looked && !said.length) said.push('good');
        flags.replaceChildren(...said.map((flag) => el(`span.flag.${flag}`, {}, t(`flag.${flag}`))));
    };
    tile.refresh();
    return tile;
}
