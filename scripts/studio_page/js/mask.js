// Hiding parts of a photo by hand: what is painted here is black in masks/PHOTO.png, and no stage sees it.
import { dialog, el } from './dom.js';
import { t } from './text.js';

const LARGEST = 1400; // pixels of the mask's longer side: finer than any brush
const THUMBNAIL = 320; // pixels of the longer side of its picture on a tile
const STEPS = 40; // to be undone

/** What was painted as `made` gives it, null for nothing, undefined when the person changed nothing. */
export async function paintMask(photo) {
    const bitmap = await createImageBitmap(photo.file).catch(() => null);
    if (!bitmap) return undefined;
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const strokes = photo.mask ? [...photo.mask.strokes] : [];
    const canvas = el('canvas.paint', { width, height, tabIndex: 0, role: 'img', 'aria-label': t('mask.canvas') });
    const cover = new OffscreenCanvas(width, height);
    const kept = await dialog(t('mask.title'), (close) => editor(close, canvas, cover, bitmap, strokes), 'masking');
    if (!kept) return undefined;
    return made(cover, strokes, photo);
}

/** {strokes, file, cover} of what is drawn: the mask, and a picture of what it hides; null for nothing. */
async function made(cover, strokes, photo) {
    if (!draw(cover, strokes)) return null;
    const { width, height } = cover;
    const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
    const small = new OffscreenCanvas(Math.max(1, width * scale), Math.max(1, height * scale));
    small.getContext('2d').drawImage(tinted(cover), 0, 0, small.width, small.height);
    return { strokes, file: await asFile(cover, photo, width, height), cover: URL.createObjectURL(await small.convertToBlob()) };
}

/** A mask of a photo that a program has found: `picture` is opaque where the photo is hidden. As what is painted, to be changed. */
export async function foundMask(photo, picture) {
    const { width, height } = picture;
    const strokes = [{ tool: 'found', picture }];
    return made(new OffscreenCanvas(width, height), strokes, photo);
}

/** A photo as masks are drawn on it: upright, and no larger than they need. */
export async function forMasks(photo) {
    const bitmap = await createImageBitmap(photo.file);
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const made = new OffscreenCanvas(width, height);
    made.getContext('2d').drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    return made;
}

/** The strokes on the cover: opaque where the photo is hidden. Whether anything is. */
function draw(cover, strokes) {
    const context = cover.getContext('2d', { willReadFrequently: true });
    context.globalCompositeOperation = 'source-over';
    context.clearRect(0, 0, cover.width, cover.height);
    context.lineCap = context.lineJoin = 'round';
    for (const { tool, width, points, picture } of strokes) {
        context.globalCompositeOperation = tool === 'rubber' ? 'destination-out' : 'source-over';
        if (tool === 'found') {
            context.drawImage(picture, 0, 0, cover.width, cover.height);
            continue;
        }
        const [first] = points;
        const last = points.at(-1);
        if (tool === 'box') {
            context.fillRect(Math.min(first[0], last[0]), Math.min(first[1], last[1]), Math.abs(last[0] - first[0]), Math.abs(last[1] - first[1]));
            continue;
        }
        context.lineWidth = width;
        context.beginPath();
        context.moveTo(...first);
        for (const point of points) context.lineTo(...point);
        context.lineTo(last[0] + 0.01, last[1]);
        context.stroke();
    }
    const { data } = context.getImageData(0, 0, cover.width, cover.height);
    for (let n = 3; n < data.length; n += 4) if (data[n] > 127) return true;
    return false;
}

/** Black where hidden, white elsewhere, in the frame in which masks of such a photo are read. */
async function asFile(cover, photo, width, height) {
    const made = new OffscreenCanvas(width, height);
    const context = made.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    // A mask as wide and high as the stored photo is taken to be drawn on that: of a photo that is stored upside
    // down (EXIF orientation 3), it is turned as the photo is.
    if (photo.exif?.orientation === 3) {
        context.translate(width, height);
        context.rotate(Math.PI);
    }
    context.drawImage(cover, 0, 0);
    const blob = await made.convertToBlob({ type: 'image/png' });
    return new File([blob], 'mask.png', { type: 'image/png', lastModified: 0 });
}

function editor(close, canvas, cover, bitmap, strokes) {
    const { width, height } = canvas;
    const context = canvas.getContext('2d');
    let tool = 'brush';
    let stroke = null;
    let cross = [width / 2, height / 2];
    let keyed = false;
    const size = el('input', { type: 'range', min: 8, max: 200, value: 48, 'aria-label': t('mask.width') });

    const show = () => {
        draw(cover, strokes);
        context.drawImage(bitmap, 0, 0, width, height);
        context.globalAlpha = 0.72;
        context.drawImage(tinted(cover), 0, 0);
        context.globalAlpha = 1;
        if (!keyed) return;
        context.strokeStyle = '#fff';
        context.lineWidth = 2;
        context.beginPath();
        context.arc(...cross, Number(size.value) / 2, 0, 7);
        context.moveTo(cross[0] - 12, cross[1]);
        context.lineTo(cross[0] + 12, cross[1]);
        context.moveTo(cross[0], cross[1] - 12);
        context.lineTo(cross[0], cross[1] + 12);
        context.stroke();
    };
    const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    };
    const begin = (point) => {
        stroke = { tool, width: Number(size.value), points: [point] };
        strokes.push(stroke);
        while (strokes.length > STEPS * 10) strokes.shift();
        show();
    };
    canvas.addEventListener('pointerdown', (event) => {
        keyed = false;
        canvas.setPointerCapture(event.pointerId);
        begin(place(event));
    });
    canvas.addEventListener('pointermove', (event) => {
        if (!stroke) return;
        stroke.points.push(place(event));
        show();
    });
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { stroke = null; });
    canvas.addEventListener('keydown', (event) => {
        const step = event.shiftKey ? 40 : 8;
        const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
        if (event.key === ' ') {
            const half = Number(size.value) / 2;
            begin(tool === 'box' ? [cross[0] - half, cross[1] - half] : cross);
            if (tool === 'box') stroke.points.push([cross[0] + half, cross[1] + half]);
            stroke = null;
        } else if (event.key in moves) {
            const [x, y] = moves[event.key];
            cross = [Math.min(width, Math.max(0, cross[0] + x)), Math.min(height, Math.max(0, cross[1] + y))];
        } else return;
        keyed = true;
        event.preventDefault();
        show();
    });
    const tools = el('div.segments', { role: 'group' });
    const button = (name) =>
        el('button.segment', { type: 'button', 'aria-pressed': String(name === tool), onclick: () => { tool = name; paintTools(); } }, t(`mask.${name}`));
    const paintTools = () => tools.replaceChildren(...['brush', 'box', 'rubber'].map(button));
    paintTools();
    show();
    return [
        el(
            'div.row.tools',
            {},
            tools,
            el('label.width', {}, el('span.unseen', {}, t('mask.width')), size),
            el('button.plain', { type: 'button', onclick: () => { strokes.pop(); show(); } }, t('mask.undo')),
            el('button.plain', { type: 'button', onclick: () => { strokes.length = 0; show(); } }, t('mask.clear')),
        ),
        el('div.stage', {}, canvas),
        el('small.quiet', {}, t('mask.keys')),
        el(
            'div.row.end',
            {},
            el('button.plain.ring', { type: 'button', onclick: () => close(false) }, t('cancel')),
            el('button.button', { type: 'button', onclick: () => close(true) }, t('mask.save')),
        ),
    ];
}

/** The cover in a colour that no photo has. */
function tinted(cover) {
    const made = new OffscreenCanvas(cover.width, cover.height);
    const context = made.getContext('2d');
    context.drawImage(cover, 0, 0);
    context.globalCompositeOperation = 'source-in';
    context.fillStyle = '#e0217b';
    context.fillRect(0, 0, cover.width, cover.height);
    return made;
}
