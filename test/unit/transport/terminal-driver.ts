/** Runs in a terminal of its own: one `terminal()` call, and then how things stand. Arguments: options and words as JSON. */
import { readlinkSync } from 'node:fs';
import { connectTransport } from '../../../src/transport/connect.ts';

const [options, words] = process.argv.slice(2).map((text) => JSON.parse(text));
const { stdin, stdout, stderr } = process;
stdout.write(`<tty ${readlinkSync('/proc/self/fd/0')}>\n`);
const transport = connectTransport(options);
const end = await transport.terminal(words, { stdin, stdout, stderr, term: 'vt220' }).catch((error) => ({ code: error.code, message: error.message }));
await transport.close();
stdout.write(`<ended ${JSON.stringify(end)} raw ${stdin.isRaw}>\n`);
