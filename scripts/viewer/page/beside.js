// The page's files lie beside it. Where its address lacks the final slash (/yard for /yard/), a browser looks
// for them one folder too high: what is missing there is asked for once more, below the address itself.
'use strict';

(() => {
    const asked = new WeakSet();
    let moved = false;

    const again = (missing) => {
        asked.add(missing);
        if (missing.tagName === 'IMG') {
            missing.src = missing.getAttribute('src');
            return;
        }
        // A script or style that has failed once is not tried again, so another takes its place.
        const other = document.createElement(missing.tagName);
        for (const { name, value } of missing.attributes) other.setAttribute(name, value);
        asked.add(other);
        missing.replaceWith(other);
    };

    addEventListener(
        'error',
        ({ target }) => {
            if (!['SCRIPT', 'LINK', 'IMG'].includes(target?.tagName)) return;
            const movable = !location.pathname.endsWith('/') && location.protocol.startsWith('http');
            if (movable && !moved) {
                moved = true;
                const base = document.createElement('base');
                base.href = `${location.pathname}/`;
                document.head.prepend(base);
            }
            if (moved && !asked.has(target)) again(target);
            else if (target.tagName !== 'IMG') document.documentElement.dataset.stuck = '';
        },
        true
    );
})();
