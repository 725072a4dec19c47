import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Access } from '../../../src/core/machine.ts';
import type { ConnectOptions } from '../../../src/transport/transport.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';

const hasTerminals = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;
const hasSsh = spawnSync('ssh', ['-V']).error === undefined;
let server: LocalServer;
const screens: ChildProcess[] = [];

beforeAll(async () => {
  server = await startLocalServer();
});
afterEach(() => {
  for (const screen of screens.splice(0)) screen.kill('SIGKILL');
});
afterAll(async () => {
  await server.close();
});

/** Our program on a terminal of 31 x 97, with somebody in front of it. */
function sitDown(options: ConnectOptions, words: readonly string[] | null) {
  const driver = join(import.meta.dirname, 'terminal-driver.ts');
  const command = 'stty rows 31 cols 97; exec "$NODE" "$DRIVER" "$OPTIONS" "$WORDS"';
  const env = { ...process.env, SHELL: '/bin/sh', NODE: process.execPath, DRIVER: driver, OPTIONS: JSON.stringify(options), WORDS: JSON.stringify(words) };
  const screen = spawn('script', ['-qefc', command, '/dev/null'], { env, stdio: 'pipe' });
  screens.push(screen);
  let seen = '';
  screen.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  return {
    type: (keys: string) => screen.stdin.write(keys),
    resize: (rows: number, cols: number) => {
      const tty = /<tty (\S+)>/.exec(seen)?.[1] ?? '';
      execFileSync('stty', ['-F', tty, 'rows', String(rows), 'cols', String(cols)]);
    },
    /** Waits for it; `nudge` is typed meanwhile. */
    sees: async (text: string | RegExp, nudge?: string) => {
      while (!(typeof text === 'string' ? seen.includes(text) : text.test(seen))) {
        expect(screen.exitCode, `waiting for ${text}, seen so far: ${seen}`).toBeNull();
        if (nudge !== undefined) screen.stdin.write(nudge);
        await pause(20);
      }
      return seen;
    },
  };
}

const kinds: [string, boolean, () => ConnectOptions][] = [
  [
    'ssh2',
    true,
    () => ({
      access: { kind: 'own', host: '127.0.0.1', port: server.port, user: server.user, hostKeys: [server.hostKeys.publicKey] },
      identityFile: server.identityFile,
      scratch: join(server.folder, 'scratch'),
    }),
  ],
  [
    'openssh',
    hasSsh,
    () => {
      const place = { host: '127.0.0.1', port: server.port, user: server.user, configFile: '/dev/null' };
      const access: Access = { kind: 'openssh', ...place, hostKey: server.hostKeys.publicKey, identityFile: server.identityFile };
      return { access, identityFile: null, scratch: join(server.folder, 'scratch') };
    },
  ],
];

describe.each(kinds)('%s: the terminal', (_name, possible, options) => {
  const here = test.skipIf(!hasTerminals || !possible);

  here('of a command has our size and name, passes keys, and its exit code comes back', async () => {
    const person = sitDown(options(), ['sh', '-c', 'stty size; echo "term $TERM"; test -t 2 && echo on-a-tty; read line; echo "got <$line>"; exit 7']);
    await person.sees('on-a-tty');
    person.type("it's é\r");
    const seen = await person.sees('<ended');
    expect(seen).toContain('31 97');
    expect(seen).toContain('term vt220');
    expect(seen).toContain("got <it's é>");
    expect(seen).toContain('<ended {"code":7,"signal":null} raw false>');
  });

  here('follows our size', async () => {
    const person = sitDown(options(), ['sh', '-c', 'echo begin; while read line; do stty size; done']);
    await person.sees('begin');
    await person.sees('31 97', '\r');
    person.resize(40, 120);
    await person.sees('40 120', '\r');
    person.type('\u0004');
    await person.sees('<ended {"code":0');
  });

  here('gives Ctrl-C to the program there, not to us', async () => {
    const person = sitDown(options(), ['sh', '-c', 'echo begin; read line; echo "<$line>"; exec sleep 1000']);
    await person.sees('begin');
    person.type('typed\r');
    await person.sees('<typed>');
    person.type('\u0003');
    const seen = await person.sees('<ended');
    expect(seen).toContain('<ended {"code":130,');
  });

  here('without a command is a login shell', async () => {
    const person = sitDown(options(), null);
    person.type('echo "$0 in $(pwd)"; exit 3\r');
    expect(await person.sees('<ended')).toContain('<ended {"code":3,"signal":null} raw false>');
    expect(await person.sees('<ended')).toMatch(new RegExp(`sh in ${server.home}`));
  });

  here('ends with 255 where the command does', async () => {
    const person = sitDown(options(), ['sh', '-c', 'exit 255']);
    expect(await person.sees('<ended')).toContain('<ended {"code":255,"signal":null} raw false>');
  });

  here('is as before when the connection breaks', async () => {
    const person = sitDown(options(), ['sh', '-c', 'echo begin; exec cat']);
    await person.sees('begin');
    await server.restart();
    expect(await person.sees('<ended')).toMatch(/<ended \{"code":"connection".* raw false>/);
  });
});
