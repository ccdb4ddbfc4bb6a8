// A link to this very view, and the lines that put the scene into another page.
'use strict';

((page) => {
    const { element, config } = page;

    // The text in a dialog, ready to be copied.
    page.showText = (title, text) => {
        element('share-title').textContent = title;
        element('share-text').value = text;
        element('share-done').textContent = '';
        page.openDialog(element('share'));
        element('share-text').select();
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
