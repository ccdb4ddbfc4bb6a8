// Annotations from the sheet: numbered marks in the scene, each with a card; and, with `edit` in the
// address, where a click landed, ready to be pasted into the sheet.
'use strict';

((page) => {
    const { element, config } = page;

    page.connectNotes = () => {
        const notes = config.annotations ?? [];
        const layer = element('notes');
        const card = element('note');
        let open = -1;
        layer.replaceChildren();

        const close = () => {
            card.hidden = true;
            open = -1;
        };
        const show = (index) => {
            const note = notes[index];
            open = index;
            element('note-title').textContent = note.title;
            element('note-text').textContent = note.text;
            card.hidden = false;
            page.viewer.state.animationPaused = true;
            page.goTo(note.camera.position, note.camera.target, config.start.fov);
            page.announce(`${note.title}. ${note.text}`);
        };
        const marks = notes.map((note, index) => {
            const mark = document.createElement('button');
            mark.type = 'button';
            mark.className = 'mark';
            mark.textContent = String(index + 1);
            mark.setAttribute('aria-label', `${note.title} (note ${index + 1} of ${notes.length})`);
            mark.onclick = () => (open === index ? close() : show(index));
            layer.append(mark);
            return mark;
        });
        element('note-end').onclick = () => {
            const mark = marks[open];
            close();
            mark?.focus({ preventScroll: true });
        };
        if (notes.length) {
            page.onKey('n', () => show((open + 1) % notes.length));
            page.onFrame(() => {
                notes.forEach((note, index) => {
                    const at = page.project(note.position);
                    marks[index].hidden = !at;
                    if (at) marks[index].style.transform = `translate(${at[0]}px, ${at[1]}px)`;
                });
            });
        }
        if (page.parameters.has('edit')) {
            page.onPick((point) => {
                const round = (values) => values.map((value) => Number(value.toFixed(3)));
                const { position, target } = page.whereAmI();
                const written = {
                    title: '',
                    text: '',
                    position: round(point),
                    camera: { position: round(position), target: round(target) }
                };
                page.showText('An annotation for the sheet', JSON.stringify(written));
                return true;
            });
        }
    };
})(window.splatmake);
