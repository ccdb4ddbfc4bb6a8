// A link to this very view, and the lines that put the scene into another page.
'use strict';

((page) => {
    const { element, config } = page;

    // The text in a dialog, ready to be copied.
    page.showText = (title, text) => {
        element('share-title').textContent = title;
        element('share-text').value = text;
        element('share-not').hidden = true;
        for (const id of ['share-text', 'share-copy']) element(id).hidden = false;
        element('share-done').textContent = '';
        page.openDialog(element('share'));
        element('share-text').select();
    };

    // Why nobody else could open the page's own address; empty when they can.
    const onlyHere = () => {
        if (config.url) return '';
        if (!location.protocol.startsWith('http')) {
            return (
                'This page is a file on this computer, so a link to it works for nobody else. Send the file' +
                ' itself, or put the page on a web server and share it from there.'
            );
        }
        const { hostname } = location;
        const own = /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(hostname);
        return own ? 'Only this computer can open this address.' : '';
    };

    const base = () => config.url || location.href.split(/[?#]/)[0];
    const link = () => {
        const { position, target } = page.whereAmI();
        const numbers = [...position, ...target].map((value) => Number(value.toPrecision(6)));
        return `${base()}#view=${numbers.join(',')}`;
    };
    const snippet = () => {
        const title = document.title.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
        return (
            `<iframe src="${base()}" title="${title}" loading="lazy" allow="fullscreen"` +
            ' style="width: 100%; aspect-ratio: 16 / 9; border: 0"></iframe>'
        );
    };

    // `#view=` six numbers: position and target. Anything else is ignored.
    page.viewOfAddress = () => {
        const given = /^#view=([-\d.e,+]+)$/i.exec(location.hash)?.[1].split(',').map(Number);
        if (given?.length !== 6 || !given.every(Number.isFinite)) return null;
        return { position: given.slice(0, 3), target: given.slice(3) };
    };

    page.connectShare = () => {
        const text = element('share-text');
        const choose = (kind) => {
            text.value = kind === 'link' ? link() : snippet();
            page.press(element('share-link'), kind === 'link');
            page.press(element('share-embed'), kind === 'embed');
            element('share-done').textContent = '';
        };
        element('share-open').onclick = () => {
            page.showText('Share', '');
            const shared = Boolean(config.url) || location.protocol.startsWith('http');
            element('share-not').textContent = onlyHere();
            element('share-not').hidden = !onlyHere();
            for (const id of ['share-kinds', 'share-text', 'share-copy']) element(id).hidden = !shared;
            if (!shared) return;
            choose('link');
            text.select();
        };
        element('share-link').onclick = () => choose('link');
        element('share-embed').onclick = () => choose('embed');
        element('share-copy').onclick = async () => {
            text.select();
            try {
                await navigator.clipboard.writeText(text.value);
                element('share-done').textContent = 'Copied.';
            } catch {
                element('share-done').textContent = 'Press Ctrl+C to copy the marked text.';
            }
        };
    };
})(window.splatmake);
