// What changed: a list of places to fly to, and a number at each of them in the scene.
'use strict';

((page) => {
    const { element, config } = page;
    const WORDS = { appeared: 'New', gone: 'Gone', changed: 'Changed' };
    const dots = [];

    const length = (metres) => (metres < 1 ? `${Math.round(100 * metres)} cm` : `${metres.toFixed(1)} m`);

    const entry = (place, number) => {
        const button = document.createElement('button');
        const image = Object.assign(document.createElement('img'), { src: place.picture, alt: '' });
        const words = document.createElement('span');
        const size = document.createElement('small');
        size.textContent = place.metres ? `about ${length(place.metres)} long` : '';
        words.append(`${number}. ${WORDS[place.kind]}`, size);
        button.type = 'button';
        button.append(image, words);
        button.onclick = () => {
            for (const other of element('places').querySelectorAll('button')) other.removeAttribute('aria-current');
            button.setAttribute('aria-current', 'true');
            page.goTo(place.eye, place.position, place.fov);
            page.announce(`Place ${number}: ${WORDS[place.kind]}`);
        };
        const item = document.createElement('li');
        item.append(button);
        return item;
    };

    const drawDots = () => {
        config.places.forEach(({ position }, index) => {
            const at = page.project(position);
            dots[index].hidden = !at;
            if (at) dots[index].style.transform = `translate(${at[0]}px, ${at[1]}px)`;
        });
    };

    page.connectPlaces = () => {
        const { places } = config;
        element('many').textContent = `(${places.length})`;
        element('none').hidden = places.length > 0;
        element('places').replaceChildren(...places.map((place, index) => entry(place, index + 1)));
        dots.splice(
            0,
            dots.length,
            ...places.map((_, index) =>
                Object.assign(document.createElement('span'), { className: 'dot', textContent: index + 1 })
            )
        );
        element('dots').replaceChildren(...dots);
        const open = element('changes-open');
        open.onclick = () => {
            const wanted = open.getAttribute('aria-expanded') !== 'true';
            open.setAttribute('aria-expanded', wanted);
            element('changes-list').hidden = !wanted;
        };
        page.viewer.app.on('update', drawDots);
    };
})(window.splatmake);
