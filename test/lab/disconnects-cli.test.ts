/**
 * Random disconnects of every kind, with the program itself, as a user runs it, through a real OpenSSH server: the program killed, the
 * wire cut, the agent and the serving process killed. TEST_DISCONNECTS=1000 makes a hundred; without it there are a dozen.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject, runnersOf, type Started, until } from '../e2e/suite/project.ts';
import { randomWriter } from '../support/random-writer.ts';
import { kill } from '../support/runner.ts';
import { sha256 } from '../support/sha256.ts';
import { useWiredServer } from '../support/wire.ts';

const wanted = Math.ceil(Number(process.env['TEST_DISCONNECTS'] ?? 120) / 10);
const kinds = ['client', 'connection', 'agent', 'serving process'] as const;

const server = useWiredServer();

test(`${wanted} disconnects of the program itself: every byte once, and the exit code`, { timeout: 120_000 + wanted * 20_000 }, async () => {
  await using project = createProject({ label: 'wire', config: `ssh: { host: wire, config-file: ${server.wire.configFile} }` });
  const folder = join(server.sshd.folder, 'job');
  mkdirSync(folder);
  const seed = Math.floor(Math.random() * 1e9);
  const code = 1 + (seed % 50);
  const writer = randomWriter(folder, seed, code);
  const killed: Buffer[] = [];
  let client = listen(project.start(['train', '--', ...writer.argv]));
  for (const kind of shuffled(wanted)) {
    await client.hears();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    if (kind === 'connection') server.wire.cut();
    else if (kind !== 'client') for (const pid of runnersOf(project.name, kind === 'agent' ? 'connect' : 'serve')) kill(pid);
    else {
      client.started.child.kill('SIGKILL');
      killed.push((await client.started.done).stdout);
      client = listen(project.start(['logs', '--follow']));
    }
  }
  writer.finish();
  const run = await client.started.done;
  const wrote = writer.wrote();
  expect(run.code, run.stderr).toBe(0);
  expect((await project.json(['status'])).document.jobs).toMatchObject([{ exitCode: code }]);
  expect({ bytes: run.stdout.length, sha256: sha256(run.stdout) }, `seed ${seed}`).toEqual(wrote);
  for (const piece of killed) expect(piece.equals(run.stdout.subarray(0, piece.length)), `what one that was killed had printed, seed ${seed}`).toBe(true);
  expect((await project.run(['down', '--yes'])).code).toBe(0);
  const copy = await project.run(['logs']);
  expect({ bytes: copy.stdout.length, sha256: sha256(copy.stdout) }, `the copy, seed ${seed}`).toEqual(wrote);
});

interface Client {
  readonly started: Started;
  /** Resolves when more of the log has come. */
  hears(): Promise<void>;
}

function listen(started: Started): Client {
  let bytes = 0;
  started.child.stdout?.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  return {
    started,
    hears: async () => {
      const before = bytes;
      await until(() => bytes > before || started.child.exitCode !== null, 'more of the log', 60_000);
      expect(started.child.exitCode, started.errors()).toBeNull();
    },
  };
}

/** Each kind as often as the others, in an order that nobody knows. */
function shuffled(count: number): readonly (typeof kinds)[number][] {
  return Array.from({ length: count }, (_, n) => ({ kind: kinds[n % kinds.length] ?? 'client', place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ kind }) => kind);
}
