// A person's sign-in at an OpenID provider: the authorisation code flow with PKCE (RFC 6749, RFC 7636, RFC 9700; OpenID
// Connect Core, 3.1). The page has no secret; tokens are kept for this tab alone, and end with it.
import { Refused, Unreachable } from './errors.js';

const TOKENS = 'signed-in';
const BEGUN = 'sign-in';
const EARLY = 60000; // milliseconds before its end in which a token is renewed
const DOUBT = 60000; // milliseconds for which a token is surely good
const SKEW = 300; // seconds by which clocks may differ

/** A sign-in that did not work; its message is a key of the strings, or the provider's own words. */
export class NotSignedIn extends Error {}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challengeOf(verifier) {
    return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
}

/** What an ID token says. It came from the provider itself over TLS, so its signature need not be checked (3.1.3.7, 6). */
function claimsOf(token) {
    try {
        const bytes = atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
        return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (sign) => sign.codePointAt(0))));
    } catch {
        throw new NotSignedIn('signin.odd');
    }
}

export class Session {
    /** `provider`: {issuer, client_id, scope, authorize, token, revoke?, end?} of studio.json. */
    constructor(provider) {
        this.provider = provider;
        this.home = new URL('./', location.href).href;
        this.tokens = JSON.parse(sessionStorage.getItem(TOKENS) || 'null');
        this.begun = null;
        this.renewing = null;
        this.subject = null; // of whoever was signed in before
        /** Has a person sign in again; set by who can ask. Resolves once that is done. */
        this.ask = async () => {
            throw new Refused(401, '');
        };
    }

    /** Whether somebody is signed in, though the token may have to be renewed. */
    get there() {
        return this.tokens !== null;
    }

    /** Whether the token may have been ended by the provider, and can be renewed. */
    get doubtful() {
        return Boolean(this.tokens?.refresh) && Date.now() - this.tokens.since > DOUBT;
    }

    get name() {
        return this.tokens?.name ?? '';
    }

    /** The provider's address at which a sign-in begins. `keep`: this page is left for it, and comes back at `hash`. */
    async begin(hash, keep = true) {
        const { authorize, client_id, scope } = this.provider;
        this.begun = { state: random(), nonce: random(), verifier: random(), hash };
        if (keep) sessionStorage.setItem(BEGUN, JSON.stringify(this.begun));
        const asked = {
            response_type: 'code',
            client_id,
            scope,
            redirect_uri: this.home,
            state: this.begun.state,
            nonce: this.begun.nonce,
            code_challenge: await challengeOf(this.begun.verifier),
            code_challenge_method: 'S256',
        };
        return `${authorize}${authorize.includes('?') ? '&' : '?'}${new URLSearchParams(asked)}`;
    }

    /** Whether the answer with this `state` is to a sign-in that this tab has begun. */
    knows(state) {
        const kept = this.begun ?? JSON.parse(sessionStorage.getItem(BEGUN) || 'null');
        return Boolean(state) && kept?.state === state;
    }

    /** End a sign-in with the provider's answer, the query of this page's address; where it was begun. */
    async finish(query) {
        const begun = this.begun ?? JSON.parse(sessionStorage.getItem(BEGUN) || 'null');
        if (!this.knows(query.get('state'))) throw new NotSignedIn('signin.stale');
        this.begun = null;
        sessionStorage.removeItem(BEGUN);
        // RFC 9207: an answer of another provider.
        if (query.has('iss') && query.get('iss') !== this.provider.issuer) throw new NotSignedIn('signin.odd');
        if (query.has('error')) {
            const denied = query.get('error') === 'access_denied';
            throw new NotSignedIn(denied ? 'signin.denied' : query.get('error_description') || query.get('error'));
        }
        const sent = { grant_type: 'authorization_code', code: query.get('code'), redirect_uri: this.home };
        const told = await this.exchange({ ...sent, code_verifier: begun.verifier });
        const claims = claimsOf(told.id_token ?? '');
        const audience = [claims.aud].flat();
        const meant = audience.includes(this.provider.client_id) && (audience.length === 1 || claims.azp === this.provider.client_id);
        const fresh = claims.exp > Date.now() / 1000 - SKEW;
        if (claims.iss !== this.provider.issuer || !meant || !fresh || claims.nonce !== begun.nonce) throw new NotSignedIn('signin.odd');
        this.keep(told, { subject: claims.sub, name: claims.email ?? claims.name ?? '' });
        return begun.hash;
    }

    /** A token for the API; `refused`: one that the API did not take. Asks a person where nothing else helps. */
    async token(refused) {
        const { access, until } = this.tokens ?? {};
        if (access && access !== refused && Date.now() < until - EARLY) return access;
        this.renewing ??= this.renew().finally(() => {
            this.renewing = null;
        });
        await this.renewing;
        return this.tokens.access;
    }

    async renew() {
        const { refresh, subject, name } = this.tokens ?? {};
        this.subject = subject ?? this.subject;
        if (refresh) {
            try {
                const told = await this.exchange({ grant_type: 'refresh_token', refresh_token: refresh });
                if (told.id_token && claimsOf(told.id_token).sub !== subject) throw new NotSignedIn('signin.odd');
                this.keep({ refresh_token: refresh, ...told }, { subject, name });
                return;
            } catch (error) {
                if (!(error instanceof NotSignedIn)) throw error;
            }
        }
        this.forget();
        await this.ask();
    }

    /** Tokens of the provider (RFC 6749, 5). Rejects with NotSignedIn when it refuses, Unreachable when it is away. */
    async exchange(sent) {
        const body = new URLSearchParams({ ...sent, client_id: this.provider.client_id });
        let answer;
        let told = {};
        try {
            answer = await fetch(this.provider.token, { method: 'POST', body, credentials: 'omit', cache: 'no-store' });
            told = await answer.json();
        } catch {
            if (!answer || answer.status >= 500) throw new Unreachable();
        }
        if (answer.status >= 500 || answer.status === 429) throw new Unreachable();
        if (!answer.ok || !told.access_token) throw new NotSignedIn(told.error_description || told.error || 'signin.odd');
        return told;
    }

    keep(told, who) {
        const since = Date.now();
        const until = since + 1000 * (told.expires_in ?? 300);
        this.tokens = { ...who, access: told.access_token, refresh: told.refresh_token ?? null, since, until };
        sessionStorage.setItem(TOKENS, JSON.stringify(this.tokens));
    }

    forget() {
        this.tokens = null;
        sessionStorage.removeItem(TOKENS);
    }

    /** Forget the tokens, here and at the provider; the address at which that ends its own session, if it has one. */
    end() {
        const { revoke, client_id, end } = this.provider;
        const token = this.tokens?.refresh;
        this.forget();
        if (revoke && token) {
            // RFC 7009; the page may be gone before the answer comes.
            const body = new URLSearchParams({ token, client_id, token_type_hint: 'refresh_token' });
            fetch(revoke, { method: 'POST', body, credentials: 'omit', keepalive: true }).catch(() => {});
        }
        return end ?? this.home;
    }
}
