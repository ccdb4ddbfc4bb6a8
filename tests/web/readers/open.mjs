// Opens a GLB with Khronos's validator and with three.js, and prints what both say as one JSON line.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, file] = process.argv.slice(2);
const require = createRequire(`${modules}/here.js`);
const data = new Uint8Array(await readFile(file));
const report = await require("gltf-validator").validateBytes(data, { maxIssues: 100 });

const addon = (path) => import(pathToFileURL(`${modules}/three/examples/jsm/${path}`));
async function opened() {
    globalThis.self ??= globalThis;
    const { GLTFLoader } = await addon("loaders/GLTFLoader.js");
    const { GLTFGaussianSplatLoaderExtension } = await addon("loaders/GLTFGaussianSplatLoaderExtension.js");
    const loader = new GLTFLoader();
    loader.register((parser) => new GLTFGaussianSplatLoaderExtension(parser));
    const { scene } = await loader.parseAsync(data.buffer, "");
    const splats = [];
    scene.traverse((object) => { if (object.splatGeometry) splats.push(object.splatGeometry); });
    return splats.map((geometry) => Object.fromEntries(Object.entries(geometry.attributes)
        .map(([name, attribute]) => [name, { count: attribute.count, values: [...attribute.array].slice(0, 60) }])));
}

const three = process.argv[4] === "three" ? await opened() : [];
console.log(JSON.stringify({
    errors: report.issues.messages.filter((message) => message.severity === 0),
    warnings: report.issues.messages.filter((message) => message.severity === 1),
    three,
}));
