// Where everything begins: language, colours, who is there, and which view an address shows.
import { el } from './dom.js';
import { enter } from './enter.js';
import { gallery } from './gallery.js';
import { job } from './job.js';
import { newScene } from './new.js';
import { onSending } from './sending.js';
import { LANGUAGES, currentLanguage, firstLanguage, setLanguage, t } from './text.js';

const main = document.getElementById('main');
const language = document.getElementById('language');
const theme = document.getElementById('theme');
let leave = null;

/** Show the view of the address; a view gives a function that ends it. */
async function show(focus = true) {
    leave?.();
    leave = null;
    const [, view = '', id = ''] = location.hash.split('/');
    main.replaceChildren();
    const shown = view === 'new' ? newScene(main) : view === 'job' ? job(main, id) : gallery(main);
    leave = shown ?? null;
    document.title = `${main.querySelector('h1')?.textContent || ''} · splatmake studio`.replace(/^ · /, '');
    if (focus) {
        main.focus({ preventScroll: true });
        scrollTo(0, 0);
    }
}

function paint(name) {
    document.documentElement.dataset.theme = name;
    theme.setAttribute('aria-label', t(name === 'dark' ? 'theme.light' : 'theme.dark'));
    theme.title = theme.getAttribute('aria-label');
}

function colours() {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const wanted = () => localStorage.getItem('theme') || (dark.matches ? 'dark' : 'light');
    paint(wanted());
    dark.addEventListener('change', () => paint(wanted()));
    theme.addEventListener('click', () => {
        localStorage.setItem('theme', wanted() === 'dark' ? 'light' : 'dark');
        paint(wanted());
    });
}

function languages() {
    for (const [value, name] of Object.entries(LANGUAGES)) language.append(el('option', { value }, name));
    setLanguage(firstLanguage());
    language.value = currentLanguage();
    language.addEventListener('change', () => {
        localStorage.setItem('language', language.value);
        setLanguage(language.value);
        paint(document.documentElement.dataset.theme);
        show(false);
    });
}

function sending() {
    const chip = document.getElementById('sending');
    onSending((upload) => {
        chip.hidden = !upload || upload.state === 'done';
        if (upload) chip.textContent = t('send.short', { percent: Math.floor((100 * upload.done) / upload.size) });
    });
}

async function begin() {
    languages();
    colours();
    sending();
    await enter(main);
    addEventListener('hashchange', () => show());
    await show();
    document.documentElement.dataset.state = 'ready';
}

begin();
