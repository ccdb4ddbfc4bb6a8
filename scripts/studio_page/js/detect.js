// Finding what to hide by the studio's own program, if it has one (config/detector.md): masks for a person to look at.
import { Refused } from './errors.js';
import { ICONS, el, icon, say } from './dom.js';
import { forMasks, foundMask } from './mask.js';
import { t } from './text.js';
import { Zip } from './zip.js';

const AT_ONCE = 8; // photos in one call
const QUALITY = 0.9;

/** Look at photos that nobody has painted on; `told(done, found)` after each call. How many got a mask. */
export async function detect(photos, told, signal) {
    let found = 0;
    for (let n = 0; n < photos.length; n += AT_ONCE) {
        const some = photos.slice(n, n + AT_ONCE);
        const masks = await ask(some, signal);
        for (const [index, photo] of some.entries()) {
            const data = masks[`${index}.jpg`];
            if (!data || photo.mask) continue;
            photo.mask = await foundMask(photo, await opaque(data));
            if (photo.mask) found += 1;
        }
        told(Math.min(photos.length, n + AT_ONCE), found);
    }
    return found;
}

async function ask(photos, signal) {
    const entries = [];
    for (const [index, photo] of photos.entries()) {
        const canvas = await forMasks(photo);
        entries.push({ name: `${index}.jpg`, file: await canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY }) });
    }
    const zip = new Zip(entries);
    const answer = await fetch('detect', { method: 'POST', body: await zip.slice(0, zip.size), signal });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(answer.status, told.error || `${answer.status}`);
    return told.masks;
}

/** A mask, black where a photo is hidden, as a picture that is opaque there and clear elsewhere. */
async function opaque(base64) {
    const bytes = Uint8Array.from(atob(base64), (sign) => sign.codePointAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const made = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = made.getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const image = context.getImageData(0, 0, made.width, made.height);
    for (let n = 0; n < image.data.length; n += 4) {
        image.data[n + 3] = image.data[n] < 128 ? 255 : 0;
        image.data.fill(0, n, n + 3);
    }
    context.putImageData(image, 0, 0);
    return made;
}

/** The button with what it tells; hidden until `offer()`. `photos()` gives those to look at, `after(found)` shows them. */
export function detecting(photos, after) {
    const words = el('span.quiet');
    const bar = el('progress.thin', { max: 1, value: 0, hidden: true, 'aria-label': t('detect.busy') });
    const button = el('button.plain.ring', { type: 'button', onclick: run }, icon(ICONS.eye), ' ', t('detect.start'));
    const box = el('div.detect', { hidden: true }, el('div.row', {}, button, words), bar);
    let going = null;

    async function run() {
        if (going) {
            going.abort();
            return;
        }
        const wanted = photos();
        going = new AbortController();
        button.replaceChildren(t('detect.stop'));
        bar.hidden = false;
        const told = (done, found) => {
            bar.value = done / Math.max(1, wanted.length);
            words.textContent = t('detect.so_far', { done, count: wanted.length, found });
        };
        told(0, 0);
        try {
            const found = await detect(wanted, told, going.signal);
            words.textContent = t(found ? 'detect.found' : 'detect.none', { count: found });
            after(found);
        } catch (error) {
            words.textContent = error.name === 'AbortError' ? '' : t('detect.failed', { why: error.message });
            after(0);
        }
        say(words.textContent);
        going = null;
        bar.hidden = true;
        button.replaceChildren(icon(ICONS.eye), ' ', t('detect.start'));
    }

    return { box, offer: () => { box.hidden = false; }, end: () => going?.abort() };
}
