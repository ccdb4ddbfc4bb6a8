// A second viewer that shows another scene with the first one's camera, frame by frame.
'use strict';

((page) => {
    // Rotation, scale and place of the later splat: `matrix` (16 numbers, row-major) leads from its own frame into
    // the first capture's, and from there it is turned upright as the first one is.
    const placed = (node, matrix) => {
        const columns = [0, 1, 2, 3].map((c) => page.toViewer([matrix[c], matrix[4 + c], matrix[8 + c]]));
        const whole = node.getLocalTransform().clone();
        whole.data.set([...columns[0], 0, ...columns[1], 0, ...columns[2], 0, ...columns[3], 1]);
        const size = Math.hypot(...columns[0]);
        node.setLocalRotation(node.getLocalRotation().clone().setFromMat4(whole));
        node.setLocalScale(size, size, size);
        node.setLocalPosition(...columns[3]);
    };

    page.placedOnArrival = (app, matrix) => {
        app.root.on('childinsert', (node) => {
            if (node.name === 'gsplat') placed(node, matrix);
        });
    };

    const SAME = ['horizontalFov', 'fov', 'nearClip', 'farClip'];

    // `other` shows what `first` shows. Both draw only when something moved, so the first tells the other.
    page.follow = (first, other) => {
        const from = first.app.root.findByName('camera');
        const to = other.app.root.findByName('camera');
        let last = '';
        first.app.on('update', () => {
            const now = [...from.getWorldTransform().data, from.camera.fov].join();
            if (now !== last || first.app.renderNextFrame) other.app.renderNextFrame = true;
            last = now;
        });
        other.app.on('update', () => {
            to.setPosition(from.getPosition());
            to.setRotation(from.getRotation());
            for (const key of SAME) to.camera[key] = from.camera[key];
        });
    };

    // Both cameras as 16 numbers and the field of view, for whoever checks that they are one.
    page.poses = () =>
        [page.viewer, page.laterViewer].map(({ app }) => {
            const camera = app.root.findByName('camera');
            return [...camera.getWorldTransform().data, camera.camera.fov];
        });
})(window.splatmake);
