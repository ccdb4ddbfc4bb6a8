// A worker that looks at photos: what EXIF says, a small picture, how sharp and how bright it is, and its looks in
// 64 bits, by which copies are found. Nothing leaves the computer for it.
import { jpegSize, readExif } from './exif.js';
import { crcOf } from './zip.js';

const SMALL = 240; // pixels, width of the small pictures
const MEASURED = 640; // pixels, the longer side of the picture whose sharpness is measured
const HEAD = 256 * 1024; // bytes in which EXIF lies

/** Grey values of a bitmap, drawn `width` wide. */
function grey(bitmap, width, height) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const made = new Float32Array(width * height);
    for (let n = 0; n < made.length; n += 1) made[n] = 0.299 * data[4 * n] + 0.587 * data[4 * n + 1] + 0.114 * data[4 * n + 2];
    return made;
}

/** Mean square of the Laplacian against that of the contrast: falls with blur, and little with the motif. */
function sharpness(values, width, height) {
    let edges = 0;
    let sum = 0;
    let squares = 0;
    for (let y = 1; y < height - 1; y += 1) {
        for (let x = 1; x < width - 1; x += 1) {
            const i = y * width + x;
            const l = 4 * values[i] - values[i - 1] - values[i + 1] - values[i - width] - values[i + width];
            edges += l * l;
            sum += values[i];
            squares += values[i] * values[i];
        }
    }
    const count = (width - 2) * (height - 2);
    const contrast = squares / count - (sum / count) ** 2;
    return { sharp: edges / count / (contrast + 25), mean: sum / count };
}

/** Whether each of 8 by 8 places is brighter than the one to its right, as 16 hex digits. */
function looks(bitmap) {
    const values = grey(bitmap, 9, 8);
    let made = '';
    for (let y = 0; y < 8; y += 1) {
        let row = 0;
        for (let x = 0; x < 8; x += 1) row = (row << 1) | (values[9 * y + x] > values[9 * y + x + 1] ? 1 : 0);
        made += row.toString(16).padStart(2, '0');
    }
    return made;
}

/** The picture with MEASURED pixels on its longer side, never enlarged; decoded once where its size is known. */
async function small(file, size, orientation) {
    const resizeQuality = 'medium';
    if (!size) {
        const whole = await createImageBitmap(file);
        const wide = whole.width >= whole.height;
        const side = Math.min(MEASURED, Math.max(whole.width, whole.height));
        const made = await createImageBitmap(whole, { [wide ? 'resizeWidth' : 'resizeHeight']: side, resizeQuality });
        whole.close();
        return made;
    }
    const turned = orientation >= 5;
    const wide = turned ? size.height >= size.width : size.width >= size.height;
    const side = Math.min(MEASURED, Math.max(size.width, size.height));
    return createImageBitmap(file, { [wide ? 'resizeWidth' : 'resizeHeight']: side, resizeQuality });
}

async function look(file) {
    const head = await file.slice(0, HEAD).arrayBuffer();
    const exif = readExif(head);
    let bitmap;
    try {
        bitmap = await small(file, jpegSize(head), exif.orientation);
    } catch {
        return { exif, seen: false }; // a format that this browser does not know, or a damaged file
    }
    const { width, height } = bitmap;
    const measured = sharpness(grey(bitmap, width, height), width, height);
    const canvas = new OffscreenCanvas(SMALL, Math.max(1, Math.round((SMALL * height) / width)));
    canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const picture = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.72 });
    const print = looks(bitmap);
    bitmap.close();
    return { exif, seen: true, ...measured, print, picture, ratio: width / height };
}

self.onmessage = async ({ data: { id, what, file } }) => {
    try {
        self.postMessage({ id, made: what === 'crc' ? await crcOf(file) : await look(file) });
    } catch (error) {
        self.postMessage({ id, error: String(error?.message || error) });
    }
};
