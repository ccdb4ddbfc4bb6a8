// What can go wrong with a call.

/** An answer that says no, in the API's own sentence. */
export class Refused extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

/** No answer at all: the network or the server is away, and may come back. */
export class Unreachable extends Error {}
