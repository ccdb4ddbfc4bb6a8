// A small plan: where the photos were taken, and where the visitor is. No position on Earth is in it.
'use strict';

((page) => {
    const { element, config } = page;
    const SIDE = 200; // CSS pixels
    const EDGE = 12;

    page.connectMap = () => {
        const button = element('map-toggle');
        const plan = config.map;
        button.hidden = !plan || plan.photos.length < 2;
        if (button.hidden) return;
        const box = element('map');
        const canvas = element('map-canvas');
        const context = canvas.getContext('2d');
        const ratio = Math.min(3, Math.max(1, devicePixelRatio));
        canvas.width = canvas.height = SIDE * ratio;
        const every = [...plan.photos, ...plan.points];
        const [xs, ys] = [0, 1].map((axis) => every.map((item) => item[axis]));
        const low = [Math.min(...xs), Math.min(...ys)];
        const size = Math.max(Math.max(...xs) - low[0], Math.max(...ys) - low[1]) || 1;
        const scale = (SIDE - 2 * EDGE) / size;
        const shift = [0, 1].map((axis) => {
            const values = axis ? ys : xs;
            return (SIDE - scale * (Math.max(...values) + low[axis])) / 2;
        });
        const place = ([x, y]) => [shift[0] + scale * x, SIDE - (shift[1] + scale * y)];
        let chosen = -1;

        const wedge = ([x, y], heading, length, colour, width) => {
            context.beginPath();
            context.moveTo(x, y);
            context.arc(x, y, length, heading - Math.PI / 2 - width, heading - Math.PI / 2 + width);
            context.closePath();
            context.fillStyle = colour;
            context.fill();
        };
        const dot = ([x, y], radius, colour) => {
            context.beginPath();
            context.arc(x, y, radius, 0, 2 * Math.PI);
            context.fillStyle = colour;
            context.fill();
        };

        // The ground does not change: drawn once, then copied.
        const ground = document.createElement('canvas');
        const drawGround = () => {
            context.setTransform(ratio, 0, 0, ratio, 0, 0);
            context.clearRect(0, 0, SIDE, SIDE);
            for (const [x, y, colour] of plan.points) {
                context.fillStyle = `#${colour.toString(16).padStart(6, '0')}`;
                const at = place([x, y]);
                context.fillRect(at[0] - 2, at[1] - 2, 4, 4);
            }
            for (const photo of plan.photos) {
                wedge(place(photo), (photo[3] * Math.PI) / 180, 9, 'rgb(255 255 255 / 45%)', 0.4);
                dot(place(photo), 2.5, '#fff');
            }
            if (plan.metres) {
                context.fillStyle = '#fff';
                context.font = '600 11px system-ui, sans-serif';
                context.fillText('N ↑', 6, 15);
                const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].findLast(
                    (value) => value * scale <= SIDE / 3
                );
                if (step) {
                    context.fillRect(6, SIDE - 8, step * scale, 2);
                    context.fillText(`${step} m`, 6, SIDE - 13);
                }
            }
            ground.width = ground.height = canvas.width;
            ground.getContext('2d').drawImage(canvas, 0, 0);
        };

        const draw = () => {
            if (box.hidden) return;
            context.setTransform(1, 0, 0, 1, 0, 0);
            context.clearRect(0, 0, canvas.width, canvas.height);
            context.drawImage(ground, 0, 0);
            context.setTransform(ratio, 0, 0, ratio, 0, 0);
            if (chosen >= 0) dot(place(plan.photos[chosen]), 4, '#e8b765');
            const { position, target } = page.whereAmI();
            const heading = Math.atan2(target[0] - position[0], target[1] - position[1]);
            wedge(place(position), heading, 20, 'rgb(232 183 101 / 70%)', 0.45);
            dot(place(position), 4.5, '#e8b765');
        };

        const visit = (index) => {
            chosen = (index + plan.photos.length) % plan.photos.length;
            const [x, y, z, heading, pitch, away] = plan.photos[chosen];
            const [h, p] = [(heading * Math.PI) / 180, (pitch * Math.PI) / 180];
            const target = [
                x + away * Math.sin(h) * Math.cos(p),
                y + away * Math.cos(h) * Math.cos(p),
                z + away * Math.sin(p)
            ];
            page.viewer.state.animationPaused = true;
            page.goTo([x, y, z], target, config.start.fov);
            page.announce(`Where photo ${chosen + 1} of ${plan.photos.length} was taken`);
            draw();
        };
        canvas.onclick = (event) => {
            const rectangle = canvas.getBoundingClientRect();
            const at = [event.clientX - rectangle.left, event.clientY - rectangle.top];
            const away = plan.photos.map((photo) => {
                const [x, y] = place(photo);
                return Math.hypot((x * rectangle.width) / SIDE - at[0], (y * rectangle.height) / SIDE - at[1]);
            });
            visit(away.indexOf(Math.min(...away)));
        };
        element('map-back').onclick = () => visit(chosen < 0 ? -1 : chosen - 1);
        element('map-on').onclick = () => visit(chosen + 1);

        const show = (on) => {
            box.hidden = !on;
            page.press(button, on, on ? 'Hide the map' : 'Map of the photos');
            draw();
        };
        button.onclick = () => show(box.hidden);
        page.onKey('p', button.onclick);
        drawGround();
        page.onFrame(draw);
        show(matchMedia('(width > 60rem) and (height > 40rem)').matches);
    };
})(window.splatmake);
