// The token of a team's studio: taken from the address that the studio printed, or typed in.
import { el } from './dom.js';
import { t } from './text.js';

async function enter(token) {
    try {
        const answer = await fetch('session', { method: 'POST', body: token });
        return answer.ok ? null : (await answer.json()).error;
    } catch {
        return t('lost');
    }
}

/** Resolves once the studio knows this browser; tries `token` first. */
export async function login(main, token) {
    if (token && !(await enter(token))) return;
    await new Promise((resolve) => {
        const field = el('input', { type: 'password', id: 'token', required: true, autocomplete: 'current-password' });
        const wrong = el('p.wrong', { role: 'alert' });
        const form = el(
            'form.card.login',
            {
                onsubmit: async (event) => {
                    event.preventDefault();
                    const said = await enter(field.value.trim());
                    wrong.textContent = said ?? '';
                    if (!said) resolve();
                },
            },
            el('h1', {}, t('login.title')),
            el('p.quiet', {}, t('login.text')),
            el('label', { htmlFor: 'token' }, t('login.token')),
            field,
            wrong,
            el('button.button', {}, t('login.enter')),
        );
        main.replaceChildren(form);
        field.focus();
    });
}
