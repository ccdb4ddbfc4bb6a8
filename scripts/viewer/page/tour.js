// The guided tour: plays the flight in settings.json, with stops to step through.
'use strict';

((page) => {
    const { element, config } = page;

    page.connectTour = () => {
        const button = element('tour');
        button.hidden = !config.tour;
        if (!config.tour) return;
        const { state, events } = page.viewer;
        const bar = element('tour-bar');
        const play = element('tour-play');
        const place = element('tour-place');
        const stops = config.tour.stops.map((stop) => stop.time);
        place.max = state.animationDuration;

        const underway = () => state.cameraMode === 'anim';
        const showState = () => {
            bar.hidden = !underway();
            page.root.dataset.tour = underway() ? 'on' : 'off';
            page.press(button, underway(), underway() ? 'End the tour' : 'Guided tour');
            play.dataset.playing = underway() && !state.animationPaused;
            const name = underway() && !state.animationPaused ? 'Pause' : 'Go on';
            play.title = name;
            play.setAttribute('aria-label', name);
        };
        const showTime = () => {
            place.value = state.animationTime;
            const left = Math.max(0, Math.round(state.animationDuration - state.animationTime));
            place.setAttribute('aria-valuetext', `${left} seconds left`);
        };
        events.on('cameraMode:changed', showState);
        events.on('animationPaused:changed', showState);
        events.on('animationTime:changed', showTime);

        const go = (paused) => {
            state.cameraMode = 'anim';
            state.animationPaused = paused;
            page.redraw();
        };
        const end = () => {
            state.animationPaused = true;
            state.cameraMode = 'orbit';
        };
        const seek = (time) => {
            page.viewer.seek(time);
            if (page.calm()) page.cameras.snap();
            showTime();
        };
        // Less motion: the tour is a row of still views, and the buttons turn the pages.
        const step = (direction) => {
            const now = state.animationTime;
            const ahead = stops.find((time) => time > now + 0.5) ?? stops[0];
            const behind = stops.findLast((time) => time < now - 1) ?? stops.at(-1);
            state.animationPaused = true;
            seek(direction > 0 ? ahead : behind);
            const number = stops.indexOf(direction > 0 ? ahead : behind) + 1;
            page.announce(`Stop ${number} of ${stops.length}`);
        };
        button.onclick = () => {
            if (underway()) {
                end();
                return;
            }
            if (page.calm()) {
                seek(stops[0]);
                state.animationPaused = true;
            } else {
                go(false);
            }
            play.focus({ preventScroll: true });
        };
        play.onclick = () => (page.calm() ? step(1) : go(!state.animationPaused));
        element('tour-back').onclick = () => step(-1);
        element('tour-on').onclick = () => step(1);
        element('tour-end').onclick = () => {
            end();
            button.focus({ preventScroll: true });
        };
        place.oninput = () => {
            state.animationPaused = true;
            seek(Number(place.value));
        };
        page.onKey('t', button.onclick);
        showState();
    };
})(window.splatmake);
