// Distances between two places of the scene, where its units are metres.
'use strict';

((page) => {
    const { element, config } = page;
    const SVG = 'http://www.w3.org/2000/svg';

    const NO_SCALE =
        'Nothing can be measured here: the photos carry no positions, so the scene has no scale.' +
        ' A distance in metres would be a guess.';

    // Metres with the digits that mean something: 0.84 m, 12.3 m, 148 m.
    page.metres = (length) => {
        const digits = length < 10 ? 2 : length < 100 ? 1 : 0;
        return `${length.toFixed(digits)} m`;
    };

    const shape = (kind, className) => {
        const made = document.createElementNS(SVG, kind);
        made.setAttribute('class', className);
        return made;
    };

    page.connectMeasure = () => {
        const button = element('measure');
        button.hidden = !config.measure; // without metres a number would mean nothing
        const panel = element('measure-panel');
        const result = element('measured');
        if (!config.measure) {
            for (const name of ['measure-middle', 'measure-clear']) element(name).hidden = true;
            element('measure-end').onclick = () => {
                panel.hidden = true;
            };
            page.onKey('m', () => {
                result.textContent = NO_SCALE;
                panel.hidden = !panel.hidden;
            });
            return;
        }
        const marks = element('marks');
        const lines = []; // of one or two points in our frame
        let active = false;

        const draw = () => {
            marks.replaceChildren();
            for (const points of lines) {
                const seen = points.map(page.project);
                for (const at of seen) {
                    if (!at) continue;
                    const dot = shape('circle', 'dot');
                    dot.setAttribute('cx', at[0]);
                    dot.setAttribute('cy', at[1]);
                    dot.setAttribute('r', 5);
                    marks.append(dot);
                }
                if (points.length < 2 || !seen[0] || !seen[1]) continue;
                const line = shape('line', 'span');
                ['x1', 'y1'].forEach((name, i) => line.setAttribute(name, seen[0][i]));
                ['x2', 'y2'].forEach((name, i) => line.setAttribute(name, seen[1][i]));
                const label = shape('text', 'length');
                label.setAttribute('x', (seen[0][0] + seen[1][0]) / 2);
                label.setAttribute('y', (seen[0][1] + seen[1][1]) / 2 - 10);
                label.textContent = page.stated(length(points), points.ends);
                marks.prepend(line);
                marks.append(label);
            }
        };
        const length = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

        const add = async (point) => {
            if (!point) {
                result.textContent = 'There is nothing at this point. Try a solid surface.';
                return;
            }
            const end = await page.endAt(point);
            if (!active) return;
            if (end.refused) {
                result.textContent = end.refused;
                return;
            }
            const last = lines.at(-1);
            if (!last || last.length === 2) {
                lines.push(Object.assign([point], { ends: [end] }));
                result.textContent = 'Now choose the other end.';
                draw();
                return;
            }
            const whole = length([last[0], point]);
            const half = page.uncertainty(whole, [...last.ends, end]);
            if (config.measure.surfaces.length && half >= whole) {
                result.textContent =
                    `Too short to be measured here: distances have an uncertainty of ${page.metres(half)}.` +
                    ' Choose an end farther away.';
                return;
            }
            last.push(point);
            last.ends.push(end);
            const height = Math.abs(last[0][2] - last[1][2]);
            result.textContent =
                page.stated(whole, last.ends) +
                (height > 0.05 * whole ? `, of it ${page.metres(height)} in height` : '');
            draw();
        };
        const show = (on) => {
            active = on;
            panel.hidden = !on;
            page.root.dataset.measuring = on ? 'on' : 'off';
            page.press(button, on, on ? 'Stop measuring' : 'Measure a distance');
            if (on) {
                if (page.viewer.state.cameraMode !== 'orbit') page.viewer.state.cameraMode = 'orbit';
                const touch = page.root.dataset.input === 'touch';
                result.textContent = `${touch ? 'Tap' : 'Click'} one end of what you want to measure.`;
            } else {
                lines.length = 0;
            }
            draw();
            page.redraw();
        };
        button.onclick = () => show(!active);
        element('measure-middle').onclick = async () => add(await page.pick(0.5, 0.5));
        element('measure-clear').onclick = () => {
            lines.length = 0;
            result.textContent = 'Cleared.';
            draw();
        };
        element('measure-end').onclick = () => {
            show(false);
            button.focus({ preventScroll: true });
        };
        page.onKey('m', button.onclick);
        page.onPick((point) => {
            if (active) add(point);
            return active;
        });
        page.onFrame(() => {
            if (lines.length) draw();
        });
        page.measureLines = lines;
    };
})(window.splatmake);
