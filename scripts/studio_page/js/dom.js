// Elements without HTML in strings: what comes from file names or the server is always text.

const SVG = 'http://www.w3.org/2000/svg';

/** `el('a.button', {href: '#/'}, 'Text', child)`: properties that begin with `on` are listeners. */
export function el(what, properties = {}, ...children) {
    const [name, ...classes] = what.split('.');
    const made = document.createElement(name || 'div');
    if (classes.length) made.className = classes.join(' ');
    for (const [key, value] of Object.entries(properties)) {
        if (value === undefined || value === null || value === false) continue;
        if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
        else if (key in made && !key.startsWith('aria')) made[key] = value;
        else made.setAttribute(key, value === true ? '' : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

/** A drawing of lines, 24 by 24. */
export function icon(path) {
    const made = document.createElementNS(SVG, 'svg');
    made.setAttribute('viewBox', '0 0 24 24');
    made.setAttribute('aria-hidden', 'true');
    made.setAttribute('class', 'icon');
    const line = document.createElementNS(SVG, 'path');
    line.setAttribute('d', path);
    made.append(line);
    return made;
}

export const ICONS = {
    check: 'M4 12.5l5 5L20 6.5',
    cross: 'M6 6l12 12M18 6L6 18',
    eye: 'M2.5 12s3.5-6.5 9.5-6.5 9.5 6.5 9.5 6.5-3.5 6.5-9.5 6.5S2.5 12 2.5 12zM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z',
    dots: 'M5 12h.01M12 12h.01M19 12h.01',
    download: 'M12 4v11m0 0l-5-5m5 5l5-5M4 20h16',
    upload: 'M12 20V9m0 0l-5 5m5-5l5 5M4 4h16',
    photo: 'M4 6h16v12H4zM4 15l4-4 4 4 3-3 5 5',
    search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20',
    brush: 'M4 20c3 0 5-1 5-4l8-9 3 3-9 8c-3 0-4 2-7 2z',
    warn: 'M12 4l9 16H3zM12 10v5m0 2.5v.01',
    open: 'M14 4h6v6M20 4l-9 9M19 14v6H4V5h6',
};

/** Say something to a screen reader. */
export function say(text) {
    document.getElementById('said').textContent = text;
}

/** A dialog with a heading; the promise gives what `close(value)` was called with. */
export function dialog(title, fill, className = '') {
    return new Promise((resolve) => {
        const id = `title-${Math.random().toString(36).slice(2)}`;
        const box = el('dialog', { 'aria-labelledby': id, className });
        const close = (value) => {
            box.returned = value;
            box.close();
        };
        box.append(el('h2', { id }, title), ...[fill(close)].flat());
        box.addEventListener('close', () => {
            box.remove();
            resolve(box.returned);
        });
        document.body.append(box);
        box.showModal();
    });
}

/** Copy to the clipboard; without that, select the text for the person to copy. */
export async function copy(text, field) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        field?.select?.();
        return false;
    }
}
