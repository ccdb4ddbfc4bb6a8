// The sparse cloud that mapping has found, turning slowly: COLMAP's points3D.bin (its "Output Format").
import { el } from './dom.js';
import { t } from './text.js';

const LARGEST = 80e6; // bytes to fetch for a picture
const HEAD = 43; // id 8, position 24, colour 3, error 8, then the length of the track 8

/** A canvas with the points of the file behind a link. */
export async function cloud(file) {
    if (file.bytes > LARGEST) return null;
    const answer = await fetch(file.url);
    const points = read(new DataView(await answer.arrayBuffer()));
    if (points.length < 20) return null;
    const canvas = el('canvas.cloud', { width: 960, height: 640, role: 'img', 'aria-label': t('job.preview') });
    turn(canvas, points);
    return canvas;
}

function read(view) {
    const count = Number(view.getBigUint64(0, true));
    const found = [];
    for (let n = 0, at = 8; n < count; n += 1) {
        const place = [0, 8, 16].map((k) => view.getFloat64(at + 8 + k, true));
        const colour = [0, 1, 2].map((k) => view.getUint8(at + 32 + k));
        found.push({ place, colour });
        at += HEAD + 8 + 8 * Number(view.getBigUint64(at + HEAD, true));
    }
    return found;
}

/** Draw the points, Z up, from all sides in turn; once only where motion is not wanted. */
function turn(canvas, points) {
    const middle = [0, 1, 2].map((axis) => median(points.map((p) => p.place[axis])));
    const reach = median(points.map((p) => Math.hypot(...p.place.map((v, n) => v - middle[n])))) * 2.2 || 1;
    const context = canvas.getContext('2d');
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const frame = (time) => {
        if (!canvas.isConnected && time) return;
        const angle = time / 9000;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const { width, height } = canvas;
        context.clearRect(0, 0, width, height);
        const scale = (0.5 * height) / reach;
        for (const { place, colour } of points) {
            const [x, y, z] = place.map((v, n) => v - middle[n]);
            const depth = (x * s + y * c) / reach;
            const size = scale / (1.6 + 0.45 * depth);
            context.fillStyle = `rgb(${colour})`;
            context.fillRect(width / 2 + (x * c - y * s) * size, height / 2 - (0.9 * z - 0.35 * depth * reach) * size, 2.4, 2.4);
        }
        if (!still) setTimeout(() => requestAnimationFrame(frame), 60);
    };
    requestAnimationFrame(() => frame(1));
}

function median(values) {
    return values.sort((a, b) => a - b)[values.length >> 1];
}
