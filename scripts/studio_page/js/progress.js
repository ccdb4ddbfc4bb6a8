// An upload under way.
import { el } from './dom.js';
import { onSending } from './sending.js';
import { bytes, seconds, t } from './text.js';

/** Shows the upload until that ends; gives how to stop showing it. */
export function progress(main) {
    const heading = el('h1', {});
    const bar = el('progress', { max: 1, value: 0 });
    const words = el('p.big', {});
    const left = el('p.quiet', {});
    const away = el('p.note.warn', { role: 'status', hidden: true }, t('send.away'));
    const cancel = el('button.plain.ring', { type: 'button' }, t('send.cancel'));
    main.append(el('div.narrow', {}, el('section.card', {}, heading, bar, words, left, away, el('p.quiet', {}, t('send.hint')), cancel)));
    let first = null;
    const end = onSending((upload) => {
        if (!upload) return;
        heading.textContent = t('send.title', { name: upload.title });
        bar.setAttribute('aria-label', heading.textContent);
        bar.value = upload.size ? upload.done / upload.size : 0;
        words.textContent = t('send.progress', { done: bytes(upload.done), size: bytes(upload.size) });
        away.hidden = upload.state !== 'away';
        cancel.onclick = () => upload.cancel();
        const now = performance.now() / 1000;
        first ??= { time: now, done: upload.done };
        const rate = (upload.done - first.done) / (now - first.time || 1);
        const known = now - first.time > 2 && rate > 0 && upload.state === 'sending';
        left.textContent = known ? t('send.left', { time: seconds((upload.size - upload.done) / rate) }) : '';
    });
    return end;
}
