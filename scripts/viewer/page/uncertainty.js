// How exact a measured distance is. The same arithmetic as scripts/lib/web/measuring.py, which says what
// the numbers in `config.measure` and `config.known` are.
'use strict';

((page) => {
    const { config } = page;
    const LOOKS = Math.cos((50 * Math.PI) / 180); // a photo shows what lies so near to its direction
    const BESIDE = 4; // pixels to the places beside a click where the surface is looked at again
    const CLICK = { touch: 4, other: 1.5 }; // pixels that a finger, or a mouse, is off
    const ROUGHEST = 0.1; // of the distance: beyond, a click is on no surface
    const EDGE = 'Nearer and farther things meet here, so this place has no certain distance. Try a place beside it.';
    const UNSEEN = 'The photos do not tell exactly enough where this is. Try a place with more detail, or nearer.';

    // How far the nearest photo is that looks at a point of our frame. Of the views of a panorama only one is
    // known: where none looks there, the nearest of all.
    page.seenFrom = (point) => {
        let nearest = Infinity;
        let any = Infinity;
        for (const [x, y, z, heading, pitch] of (config.map ?? config.measure).photos) {
            const to = [point[0] - x, point[1] - y, point[2] - z];
            const away = Math.hypot(...to);
            const [h, p] = [heading, pitch].map((degrees) => (degrees * Math.PI) / 180);
            const along =
                to[0] * Math.sin(h) * Math.cos(p) + to[1] * Math.cos(h) * Math.cos(p) + to[2] * Math.sin(p);
            any = Math.min(any, away);
            if (along >= LOOKS * away) nearest = Math.min(nearest, away);
        }
        return nearest === Infinity ? any : nearest;
    };

    // Places of our frame near which surfaces can be trusted, x, y, z one after the other.
    let places;
    const knownPlaces = () => {
        if (places) return places;
        const { origin, step, numbers } = config.known;
        const bytes = Uint8Array.from(atob(numbers), (letter) => letter.charCodeAt(0));
        const view = new DataView(bytes.buffer);
        places = new Float64Array(bytes.length / 2);
        for (let i = 0; i < places.length; i++) places[i] = origin[i % 3] + step * view.getInt16(2 * i, true);
        return places;
    };

    // How far the nearest of them is from a point.
    page.besideKnown = (point) => {
        const all = knownPlaces();
        let nearest = Infinity;
        for (let i = 0; i < all.length; i += 3) {
            const away = Math.hypot(all[i] - point[0], all[i + 1] - point[1], all[i + 2] - point[2]);
            nearest = Math.min(nearest, away);
        }
        return nearest;
    };

    // Half width (95 %) of a length between two ends; null where surfaces so far away were not
    // compared, and where no known place is near.
    page.uncertainty = (length, ends) => {
        const { error, cameras, surfaces, reach } = config.measure;
        const parts = [error * length];
        for (const { away, beside, click, rough } of ends) {
            const found = surfaces.find(([upTo]) => away <= upTo);
            if (!found || beside > reach * away) return null;
            parts.push(found[1] * away, cameras, beside, click, rough);
        }
        return Math.hypot(...parts);
    };

    // How deep a point of our frame lies before the camera, in metres.
    const depthOf = (point) => {
        const { position, target } = page.whereAmI();
        const ahead = target.map((value, i) => value - position[i]);
        const along = ahead.reduce((sum, value, i) => sum + value * (point[i] - position[i]), 0);
        return along / Math.hypot(...ahead);
    };

    // How far the surface at a place of the window is from flat there, in metres: the inverse depth of a plane
    // changes evenly from pixel to pixel. Infinity where beside it nothing is.
    const roughness = async (point, [x, y], width, height) => {
        const beside = async (right, down) => {
            const found = await page.pick((x + right) / width, (y + down) / height);
            return found ? 1 / depthOf(found) : 0;
        };
        const depth = depthOf(point);
        let most = 0;
        for (const [right, down] of [[BESIDE, 0], [0, BESIDE]]) {
            const sides = [await beside(right, down), await beside(-right, -down)];
            if (!sides[0] || !sides[1]) return Infinity;
            most = Math.max(most, depth * Math.abs(((sides[0] + sides[1]) / 2) * depth - 1));
        }
        return most;
    };

    // One end of a distance: what `uncertainty` needs to know of it, or why it cannot be one (`refused`).
    page.endAt = async (point) => {
        if (!config.measure.surfaces.length) return { away: 0, beside: 0, click: 0, rough: 0 };
        const canvas = page.viewer.app.graphicsDevice.canvas;
        const { clientWidth: width, clientHeight: height } = canvas;
        const at = page.project(point);
        const seen = { away: page.seenFrom(point), beside: page.besideKnown(point), click: 0, rough: 0 };
        if (!at || page.uncertainty(0, [seen]) === null) return { refused: UNSEEN };
        const depth = depthOf(point);
        const fov = (page.whereAmI().fov * Math.PI) / 180;
        const pixel = (2 * Math.tan(fov / 2) * depth) / Math.max(width, height);
        const rough = await roughness(point, at, width, height);
        if (rough > ROUGHEST * depth) return { refused: EDGE };
        const off = page.root.dataset.input === 'touch' ? CLICK.touch : CLICK.other;
        return { ...seen, rough, click: off * pixel };
    };

    // `3.42 m ± 0.04 m`: with as many digits as mean something; without ± where surfaces were not compared.
    page.stated = (length, ends) => {
        if (!config.measure.surfaces.length) return page.metres(length);
        const half = page.uncertainty(length, ends);
        const digits = half < 0.1 ? 2 : half < 1 ? 1 : 0;
        const up = Math.ceil(half * 10 ** digits - 1e-9) / 10 ** digits;
        return `${length.toFixed(digits)} m ± ${up.toFixed(digits)} m`;
    };
})(window.splatmake);
