// A client in JavaScript, for Node, with sockets alone: node client.mjs [HOST:PORT]
//
// Requests may be sent without waiting: replies come in the order of the requests. Ends with 1 if
// an answer is not as it should be. For programs that are to last there are libraries (memjs).

import { strict as assert } from "node:assert";
import { connect } from "node:net";

const address = process.argv[2] ?? "127.0.0.1:11211";
const colon = address.lastIndexOf(":");
const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
socket.setTimeout(5000, () => socket.destroy(new Error("no answer")));
socket.setNoDelay(true);

let received = "";
const waiting = [];
socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    while (waiting.length > 0 && received.length >= waiting[0].length) {
        const { length, resolve } = waiting.shift();
        resolve(received.slice(0, length));
        received = received.slice(length);
    }
});
socket.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
});

/** Sends a request; the promise is kept when its reply is there. */
function ask(request, reply) {
    socket.write(request);
    return new Promise((resolve) => waiting.push({ length: reply.length, resolve }))
        .then((bytes) => assert.equal(bytes, reply));
}

await Promise.all([
    ask("set example:js:greeting 0 60 5\r\nhello\r\n", "STORED\r\n"),
    ask("get example:js:greeting\r\n", "VALUE example:js:greeting 0 5\r\nhello\r\nEND\r\n"),
    ask("set example:js:visits 0 60 1\r\n0\r\n", "STORED\r\n"),
    ask("incr example:js:visits 5\r\n", "5\r\n"),
    ask("delete example:js:greeting\r\n", "DELETED\r\n"),
]);
socket.end();
console.log("javascript: ok");
