// What stands behind the page, as it says itself in studio.json: this computer, or an account in the cloud.
import { Refused, Unreachable } from './errors.js';

let told = { api: '', events: false };
let signedIn = null;

/** Ask the backend what it can; see README.md of the folder config/aws for the cloud's. Rejects as a call does. */
export async function load() {
    let answer;
    try {
        answer = await fetch('studio.json', { cache: 'no-store' });
    } catch {
        throw new Unreachable();
    }
    if (!answer.ok) throw new Refused(answer.status, `${answer.status}`);
    told = { api: '', events: false, ...(await answer.json()) };
    return told;
}

/**
 * {api, events, disk?, login?, detector?}: the API's address, whether it sends events, how full its disk is, who signs people
 * in, and whether a program finds what to hide in photos.
 */
export const backend = () => told;

/** Who is signed in (session.js); null on this computer. */
export const session = () => signedIn;

export function useSession(made) {
    signedIn = made;
}

/** Milliseconds between two looks at what goes on: each costs a cloud a little. */
export const often = (here) => (told.events ? here : 2.5 * here);

/** Call `act` after `ms`; a page that nobody looks at waits, and asks as soon as it is seen. Gives how to end that. */
export function later(act, ms) {
    let timer = null;
    const end = () => {
        clearTimeout(timer);
        document.removeEventListener('visibilitychange', look);
    };
    const go = () => {
        end();
        act();
    };
    const look = () => {
        clearTimeout(timer);
        timer = document.hidden ? null : setTimeout(go, 0);
    };
    document.addEventListener('visibilitychange', look);
    if (!document.hidden || told.events) timer = setTimeout(go, ms);
    return end;
}
