// A zip that is never made: it is laid out from the sizes of its files, and any piece of it is read when it is sent.
// Files are stored as they are (PKWARE's APPNOTE, with the zip64 records where sizes ask for them). So an upload of
// 100 GB takes no memory, and the same files always give the same bytes: an upload goes on where it stopped.

const LOCAL = 30;
const CENTRAL = 46;
const FULL = 0xffffffff;
const UTF8 = 0x0800;
const DATE = (1 << 5) | 1; // 1 January 1980: the photos have their own dates inside

let table;

/** CRC-32 of bytes, on top of that of the bytes before. */
export function crc32(data, before = 0) {
    if (!table) {
        table = new Uint32Array(8 * 256);
        for (let n = 0; n < 256; n += 1) {
            let c = n;
            for (let k = 0; k < 8; k += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
            table[n] = c >>> 0;
        }
        for (let n = 256; n < 2048; n += 1) table[n] = (table[n - 256] >>> 8) ^ table[table[n - 256] & 255];
    }
    let c = ~before;
    let i = 0;
    for (const end = data.length - 7; i < end; i += 8) {
        c ^= data[i] | (data[i + 1] << 8) | (data[i + 2] << 16) | (data[i + 3] << 24);
        c =
            table[1792 + (c & 255)] ^ table[1536 + ((c >>> 8) & 255)] ^ table[1280 + ((c >>> 16) & 255)] ^
            table[1024 + (c >>> 24)] ^ table[768 + data[i + 4]] ^ table[512 + data[i + 5]] ^
            table[256 + data[i + 6]] ^ table[data[i + 7]];
    }
    for (; i < data.length; i += 1) c = (c >>> 8) ^ table[(c ^ data[i]) & 255];
    return ~c >>> 0;
}

/** CRC-32 of a file, read piece by piece. */
export async function crcOf(file) {
    let crc = 0;
    const reader = file.stream().getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) crc = crc32(part.value, crc);
    return crc;
}

class Record {
    constructor(size) {
        this.view = new DataView(new ArrayBuffer(size));
        this.at = 0;
    }
    u16(...values) {
        for (const value of values) {
            this.view.setUint16(this.at, value, true);
            this.at += 2;
        }
        return this;
    }
    u32(...values) {
        for (const value of values) {
            this.view.setUint32(this.at, value, true);
            this.at += 4;
        }
        return this;
    }
    u64(...values) {
        for (const value of values) {
            this.view.setBigUint64(this.at, BigInt(value), true);
            this.at += 8;
        }
        return this;
    }
    bytes(data) {
        new Uint8Array(this.view.buffer).set(data, this.at);
        this.at += data.length;
        return this;
    }
}

const utf8 = new TextEncoder();

export class Zip {
    /** entries: [{name, file}] with files or blobs; `crc(file)` gives a promise of a file's CRC-32. */
    constructor(entries, crc = crcOf) {
        let at = 0;
        this.entries = entries.map(({ name, file }) => {
            const label = utf8.encode(name);
            const large = file.size >= FULL;
            const entry = { label, file, large, at, head: LOCAL + label.length + (large ? 20 : 0) };
            at += entry.head + file.size;
            return entry;
        });
        this.crc = crc;
        this.crcs = new Map();
        this.directory = at; // where the central directory begins
        this.listed = this.entries.reduce((sum, e) => sum + CENTRAL + e.label.length + this.extra(e), 0);
        this.far = at >= FULL || this.listed >= FULL || entries.length >= 0xffff;
        this.size = at + this.listed + (this.far ? 76 : 0) + 22;
    }

    extra({ large, at }) {
        const words = (large ? 16 : 0) + (at >= FULL ? 8 : 0);
        return words ? words + 4 : 0;
    }

    /** The CRC of an entry, read once. */
    sum(entry) {
        if (!this.crcs.has(entry)) this.crcs.set(entry, this.crc(entry.file));
        return this.crcs.get(entry);
    }

    async head(entry) {
        const size = entry.large ? FULL : entry.file.size;
        const made = new Record(entry.head)
            .u32(0x04034b50)
            .u16(entry.large ? 45 : 20, UTF8, 0, 0, DATE)
            .u32(await this.sum(entry), size, size)
            .u16(entry.label.length, entry.large ? 20 : 0)
            .bytes(entry.label);
        if (entry.large) made.u16(1, 16).u64(entry.file.size, entry.file.size);
        return made.view.buffer;
    }

    async tail() {
        const records = [];
        for (const entry of this.entries) {
            const { label, file, large, at } = entry;
            const size = large ? FULL : file.size;
            const more = this.extra(entry);
            const made = new Record(CENTRAL + label.length + more)
                .u32(0x02014b50)
                .u16(45, large || at >= FULL ? 45 : 20, UTF8, 0, 0, DATE)
                .u32(await this.sum(entry), size, size)
                .u16(label.length, more, 0, 0, 0)
                .u32(0, Math.min(at, FULL))
                .bytes(label);
            if (more) made.u16(1, more - 4);
            if (large) made.u64(file.size, file.size);
            if (at >= FULL) made.u64(at);
            records.push(made.view.buffer);
        }
        const count = this.entries.length;
        if (this.far) {
            const far = new Record(76)
                .u32(0x06064b50).u64(44).u16(45, 45).u32(0, 0)
                .u64(count, count, this.listed, this.directory)
                .u32(0x07064b50, 0).u64(this.directory + this.listed).u32(1);
            records.push(far.view.buffer);
        }
        const few = Math.min(count, 0xffff);
        const end = new Record(22)
            .u32(0x06054b50).u16(0, 0, few, few)
            .u32(Math.min(this.listed, FULL), Math.min(this.directory, FULL)).u16(0);
        records.push(end.view.buffer);
        return new Blob(records);
    }

    /** The bytes from `start` to `end`, as a blob that refers to the files. */
    async slice(start, end) {
        const pieces = [];
        const take = async (at, size, give) => {
            const from = Math.max(start, at);
            const to = Math.min(end, at + size);
            if (from < to) pieces.push((await give()).slice(from - at, to - at));
        };
        for (let n = this.first(start); n < this.entries.length && this.entries[n].at < end; n += 1) {
            const entry = this.entries[n];
            await take(entry.at, entry.head, async () => new Blob([await this.head(entry)]));
            await take(entry.at + entry.head, entry.file.size, async () => entry.file);
        }
        await take(this.directory, this.size - this.directory, () => this.tail());
        return new Blob(pieces);
    }

    /** The last entry that begins at or before a byte, by halving. */
    first(start) {
        let low = 0;
        let high = this.entries.length - 1;
        while (low < high) {
            const middle = (low + high + 1) >> 1;
            if (this.entries[middle].at <= start) low = middle;
            else high = middle - 1;
        }
        return low;
    }
}
