// What a photo's EXIF says, as far as the page shows it: orientation, time, position (Exif 2.32, TIFF 6.0).

const TYPES = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8 };

/** {orientation, time, latitude, longitude} from the first bytes of a JPEG; what is not there is left out. */
export function readExif(buffer) {
    const view = new DataView(buffer);
    try {
        return fromTiff(view, tiffStart(view));
    } catch {
        return {}; // damaged, or no EXIF at all
    }
}

/** {width, height} of a JPEG as it is stored; null when the first bytes do not tell. */
export function jpegSize(buffer) {
    const view = new DataView(buffer);
    try {
        if (view.getUint16(0) !== 0xffd8) return null;
        for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
            const marker = view.getUint16(at);
            if (marker >> 8 !== 0xff || marker === 0xffda) return null;
            // Any "start of frame" but the tables that share its range.
            const frame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
            if (frame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
        }
    } catch {
        return null; // ends before
    }
}

/** Where the TIFF structure of a JPEG's APP1 segment begins. */
function tiffStart(view) {
    if (view.getUint16(0) !== 0xffd8) throw new RangeError('no JPEG');
    for (let at = 2; at + 10 < view.byteLength; ) {
        const marker = view.getUint16(at);
        if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966) return at + 10;
        if (marker >> 8 !== 0xff || marker === 0xffda) break;
        at += 2 + view.getUint16(at + 2);
    }
    throw new RangeError('no EXIF');
}

function fromTiff(view, start) {
    const little = view.getUint16(start) === 0x4949;
    const u16 = (at) => view.getUint16(start + at, little);
    const u32 = (at) => view.getUint32(start + at, little);
    const folder = (at) => {
        const found = new Map();
        const count = Math.min(u16(at), 200);
        for (let n = 0; n < count; n += 1) {
            const entry = at + 2 + 12 * n;
            const type = u16(entry + 2);
            const size = (TYPES[type] ?? 1) * u32(entry + 4);
            found.set(u16(entry), { type, count: u32(entry + 4), at: size > 4 ? u32(entry + 8) : entry + 8 });
        }
        return found;
    };
    const text = ({ at, count }) => {
        let made = '';
        for (let n = 0; n < Math.min(count, 64); n += 1) {
            const code = view.getUint8(start + at + n);
            if (!code) break;
            made += String.fromCharCode(code);
        }
        return made;
    };
    const ratio = (at) => u32(at) / u32(at + 4);
    const degrees = (entry, sign, negative) => {
        const value = ratio(entry.at) + ratio(entry.at + 8) / 60 + (ratio(entry.at + 16) / 3600 || 0);
        return text(sign) === negative ? -value : value;
    };

    const main = folder(u32(4));
    const told = {};
    if (main.has(0x0112)) told.orientation = u16(main.get(0x0112).at);
    if (main.has(0x8769)) {
        const exif = folder(u32(main.get(0x8769).at));
        if (exif.has(0x9003)) told.time = text(exif.get(0x9003));
    }
    if (main.has(0x8825)) {
        const gps = folder(u32(main.get(0x8825).at));
        if ([1, 2, 3, 4].every((tag) => gps.has(tag))) {
            const latitude = degrees(gps.get(2), gps.get(1), 'S');
            const longitude = degrees(gps.get(4), gps.get(3), 'W');
            const good = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && (latitude || longitude);
            if (good) Object.assign(told, { latitude, longitude });
        }
    }
    return told;
}
