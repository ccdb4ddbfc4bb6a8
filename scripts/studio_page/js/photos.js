// The photos of a new scene: which files are meant, what was seen in each, and what speaks against it.
import { forget, look } from './workers.js';

const PHOTOS = /\.(jpe?g|png|tiff?|webp|hei[cf]|hif|avif|bmp)$/i;
const VIDEOS = /\.(mp4|mov|avi|mkv|webm|m4v)$/i;
const BESIDE = /\.(txt|csv|tsv|srt|json|xmp|xml|bin)$/i;
const MASKS = /(^|\/)(masks?|segmentation)\/|[._-]mask\.\w+$/i;
const HIDDEN = /(^|\/)(\.|__MACOSX|Thumbs\.db$|desktop\.ini$)/;
const MOST_BESIDE = 200e6; // bytes of a file beside the photos
const NEIGHBOURS = 6;
const BLURRED = 0.3; // of the median sharpness of the neighbours
const DARK = 28;
const BRIGHT = 238; // mean of 255
const ALIKE = 2; // of 64 bits may differ between copies

/** [{path, file}] of what was dropped or chosen, folders included. */
export async function filesOf(transfer) {
    const entries = [...transfer.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.());
    if (!entries.some(Boolean)) return [...transfer.files].map((file) => ({ path: file.name, file }));
    const found = [];
    const walk = async (entry) => {
        if (entry.isFile) {
            const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
            if (file) found.push({ path: entry.fullPath.replace(/^\//, ''), file });
            return;
        }
        const reader = entry.createReader();
        for (;;) {
            const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
            if (!some.length) return;
            for (const one of some) await walk(one);
        }
    };
    for (const entry of entries.filter(Boolean)) await walk(entry);
    return found;
}

export const chosen = (list) => [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

function kindOf(path, size) {
    if (HIDDEN.test(path)) return 'hidden';
    if (/\.zip$/i.test(path)) return 'zip';
    if (VIDEOS.test(path)) return 'video';
    if (PHOTOS.test(path)) return MASKS.test(path) ? 'beside' : 'photo';
    return BESIDE.test(path) && size < MOST_BESIDE ? 'beside' : 'other';
}

export class Photos {
    constructor(changed) {
        Object.assign(this, { changed, photos: [], videos: [], beside: [], zip: null, others: 0, names: new Set() });
    }

    get empty() {
        return !this.photos.length && !this.videos.length && !this.zip;
    }

    /** Take files in; those that are there already count once. Gives what could not be taken, as a key. */
    add(found) {
        const sorted = found.toSorted((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }));
        const zips = sorted.filter(({ path }) => /\.zip$/i.test(path));
        if (zips.length && (zips.length > 1 || sorted.length > zips.length || !this.empty)) return 'new.one_zip';
        if (this.zip) return 'new.one_zip';
        for (const { path, file } of sorted) {
            const kind = kindOf(path, file.size);
            if (kind === 'hidden' || file.size === 0) continue;
            if (kind === 'other') {
                this.others += 1;
                continue;
            }
            if (this.names.has(path.toLowerCase())) continue;
            this.names.add(path.toLowerCase());
            if (kind === 'zip') this.zip = { path, file };
            else if (kind === 'video') this.videos.push({ path, file, used: true });
            else if (kind === 'beside') this.beside.push({ path, file });
            else this.take(path, file);
        }
        this.changed();
        return null;
    }

    take(path, file) {
        const photo = { path, file, used: true, flags: [], by: null, looked: false, mask: null };
        this.photos.push(photo);
        look(file)
            .then((seen) => Object.assign(photo, seen, { looked: true }))
            .catch(() => Object.assign(photo, { looked: true, seen: false }))
            .then(() => {
                if (photo.picture) photo.address = URL.createObjectURL(photo.picture);
                this.judge();
                this.changed(photo);
            });
    }

    clear() {
        forget();
        for (const { address } of this.photos) if (address) URL.revokeObjectURL(address);
        Object.assign(this, { photos: [], videos: [], beside: [], zip: null, others: 0, names: new Set() });
        this.changed();
    }

    /** Find what speaks against photos; a person's own choice stays. Not at every photo: it looks at all. */
    judge() {
        if (this.timer) return;
        this.timer = setTimeout(() => {
            this.timer = null;
            this.judgeNow();
            this.changed();
        }, 250);
    }

    judgeNow() {
        const seen = this.photos.filter((photo) => photo.seen);
        const exact = new Map();
        seen.forEach((photo, n) => {
            const around = seen.slice(Math.max(0, n - NEIGHBOURS), n + NEIGHBOURS + 1).map((p) => p.sharp).sort((a, b) => a - b);
            const flags = [];
            if (around.length > 4 && photo.sharp < BLURRED * around[around.length >> 1]) flags.push('blurred');
            if (photo.mean < DARK) flags.push('dark');
            if (photo.mean > BRIGHT) flags.push('bright');
            const before = seen.slice(Math.max(0, n - 2), n).find((p) => differ(p.print, photo.print) <= ALIKE);
            const same = [exact.get(photo.print), before].find((p) => p && isCopy(p, photo));
            if (same) {
                flags.push('copy');
                photo.of = same.path;
            } else exact.set(photo.print, photo);
            this.decide(photo, flags);
        });
        for (const photo of this.photos) if (photo.looked && !photo.seen) this.decide(photo, ['unseen']);
        if (seen.some((photo) => photo.exif.latitude !== undefined)) {
            for (const photo of seen) if (photo.exif.latitude === undefined) photo.flags.push('nogps');
        }
    }

    decide(photo, flags) {
        photo.flags = flags;
        // Copies and blurred photos are left out, as the workflow itself would do; the person may want them back.
        if (photo.by !== 'person') photo.used = !flags.some((flag) => flag === 'copy' || flag === 'blurred');
    }

    /** What is uploaded: [{name, file}], without the folder that all have in common; masks beside. */
    entries() {
        const used = [...this.photos.filter((p) => p.used), ...this.videos.filter((v) => v.used), ...this.beside];
        const strip = commonFolder(used.map(({ path }) => path));
        const found = used.map(({ path, file }) => ({ name: path.slice(strip), file }));
        for (const photo of this.photos) {
            if (photo.used && photo.mask) found.push({ name: `masks/${photo.path.slice(strip)}.png`, file: photo.mask.file });
        }
        return found;
    }

    get places() {
        return this.photos.filter((photo) => photo.exif?.latitude !== undefined);
    }
}

/** Photos of one print may still differ: a sky has no edges. */
function isCopy(a, b) {
    const sharper = a.sharp / b.sharp;
    return Math.abs(a.ratio - b.ratio) < 0.02 && Math.abs(a.mean - b.mean) < 1.5 && sharper > 0.85 && sharper < 1.18;
}

function differ(a, b) {
    let count = 0;
    for (let n = 0; n < a.length; n += 1) {
        let bits = parseInt(a[n], 16) ^ parseInt(b[n], 16);
        for (; bits; bits &= bits - 1) count += 1;
    }
    return count;
}

/** How many characters of all paths are folders that all are in. */
function commonFolder(paths) {
    const [first = ''] = paths;
    let strip = 0;
    for (;;) {
        const next = first.indexOf('/', strip) + 1;
        if (!next || !paths.every((path) => path.startsWith(first.slice(0, next)))) return strip;
        strip = next;
    }
}
