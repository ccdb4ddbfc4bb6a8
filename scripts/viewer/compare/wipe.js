// The divider between before and after: a slider for keys, a handle for fingers, a button for each side.
'use strict';

((page) => {
    const { element, root } = page;

    const show = (percent) => {
        const value = Math.round(Math.max(0, Math.min(100, percent)));
        element('wipe').value = value;
        element('wipe').setAttribute('aria-valuetext', `${value} % before, ${100 - value} % after`);
        root.style.setProperty('--wipe', `${value}%`);
        element('show-before').setAttribute('aria-pressed', value === 100);
        element('show-after').setAttribute('aria-pressed', value === 0);
    };
    page.wipeTo = show;

    page.connectWipe = () => {
        const divider = element('divider');
        element('wipe').oninput = ({ target }) => show(Number(target.value));
        // Pressed again, a side gives half of the picture back.
        element('show-before').onclick = () => show(element('wipe').value === '100' ? 50 : 100);
        element('show-after').onclick = () => show(element('wipe').value === '0' ? 50 : 0);
        divider.onpointerdown = (event) => {
            divider.setPointerCapture(event.pointerId);
            event.preventDefault();
        };
        divider.onpointermove = (event) => {
            if (divider.hasPointerCapture(event.pointerId)) show((100 * event.clientX) / innerWidth);
        };
        show(50);
    };
})(window.splatmake);
