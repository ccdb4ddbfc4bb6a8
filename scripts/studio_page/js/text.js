// Words in the reader's language, from the table in strings.js; numbers, sizes and times as that language has them.
import { STRINGS } from './strings.js';

export const LANGUAGES = Object.fromEntries(Object.entries(STRINGS).map(([code, table]) => [code, table.name]));
let language = 'en';

/** The language to begin with: as chosen before, else the browser's, else English. */
export function firstLanguage() {
    const wanted = [localStorage.getItem('language'), ...navigator.languages];
    return wanted.map((code) => code?.slice(0, 2)).find((code) => code in STRINGS) || 'en';
}

export function setLanguage(code) {
    language = code;
    document.documentElement.lang = code;
    for (const item of document.querySelectorAll('[data-text]')) item.textContent = t(item.dataset.text);
}

export const currentLanguage = () => language;

/** The words for a key; `{name}` is filled in from `values`. With `count`, `key.one` is used for 1. */
export function t(key, values = {}) {
    const one = values.count === 1 ? STRINGS[language][`${key}.one`] : undefined;
    const text = one ?? STRINGS[language][key] ?? STRINGS.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (_, name) => {
        const value = values[name];
        return typeof value === 'number' ? value.toLocaleString(language) : (value ?? '');
    });
}

export const has = (key) => key in STRINGS.en;

export function bytes(count) {
    const units = ['kB', 'MB', 'GB', 'TB'];
    let value = count / 1000;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    const digits = value < 10 && unit > 0 ? 1 : 0;
    return `${value.toLocaleString(language, { maximumFractionDigits: digits })} ${units[unit]}`;
}

export function seconds(count) {
    if (count < 1) return t('time.moment');
    if (count < 90) return t('time.seconds', { count: Math.round(count) });
    if (count < 5400) return t('time.minutes', { count: Math.round(count / 60) });
    return t('time.hours', { count: Math.round(count / 360) / 10 });
}

export function date(text) {
    const moment = new Date(text);
    return Number.isNaN(moment.getTime())
        ? ''
        : moment.toLocaleString(language, { day: 'numeric', month: 'short', year: 'numeric', hour: 'numeric', minute: '2-digit' });
}

export const dollars = (value) => value.toLocaleString(language, { style: 'currency', currency: 'USD' });

/** `old_mill` -> `Old mill`, as the page of a scene without a title has it. */
export function titleOf(scene) {
    const words = scene.replace(/[_-]+/g, ' ').trim();
    return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** A title as the API takes names of scenes. */
export function sceneName(title) {
    const plain = title
        .replace(/ä/g, 'ae').replace(/ö/g, 'oe').replace(/ü/g, 'ue').replace(/ß/g, 'ss')
        .normalize('NFKD').replace(/[\u0300-\u036f]/g, '');
    const name = plain.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 64).replace(/-+$/, '');
    return name || 'scene';
}
