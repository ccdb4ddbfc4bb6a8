// Where photos were taken: points on a plain with a bar of scale. No map is loaded from anywhere.

const EARTH = 6371008.8; // metres, mean radius

/** Metres east and north of the middle: [[x, y], ...] and how wide they lie. */
export function plan(places) {
    const middle = (name) => places.reduce((sum, { exif }) => sum + exif[name], 0) / places.length;
    const [north, east] = [middle('latitude'), middle('longitude')];
    const metre = (Math.PI / 180) * EARTH;
    const points = places.map(({ exif }) => [
        (exif.longitude - east) * metre * Math.cos((north * Math.PI) / 180),
        (exif.latitude - north) * metre,
    ]);
    const spread = (n) => Math.max(...points.map((p) => p[n])) - Math.min(...points.map((p) => p[n]));
    return { points, width: spread(0), height: spread(1) };
}

/** Draw them. */
export function draw(canvas, { points, width, height }) {
    const context = canvas.getContext('2d');
    const ratio = devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const scale = Math.min((w - 40) / Math.max(width, 1), (h - 56) / Math.max(height, 1));
    const spot = ([x, y]) => [w / 2 + x * scale, (h - 16) / 2 - y * scale];
    context.strokeStyle = style.borderTopColor;
    context.lineWidth = 1.5;
    context.beginPath();
    points.forEach((point, n) => context[n ? 'lineTo' : 'moveTo'](...spot(point)));
    context.stroke();
    context.fillStyle = style.getPropertyValue('--accent-strong');
    for (const point of points) {
        context.beginPath();
        context.arc(...spot(point), 3.5, 0, 7);
        context.fill();
    }
    const step = 10 ** Math.floor(Math.log10(Math.max(1, 100 / scale)));
    context.fillStyle = style.color;
    context.fillRect(16, h - 14, step * scale, 2);
    context.font = '12px system-ui';
    context.fillText(`${step} m`, 16, h - 20);
}
