/** The `follow` call: places in the log, one look, many followers. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, runJob, specOf, statesOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const manyLines = Buffer.from(Array.from({ length: 200_000 }, (_, n) => `line ${n + 1}\n`).join(''));

function logBytes(id: string): number {
  return existsSync(machine.jobFile(id, 'log')) ? readFileSync(machine.jobFile(id, 'log')).length : 0;
}

describe('follow', () => {
  test('an offset that is no place in the log', async () => {
    const client = await machine.connect();
    const spec = specOf('printf 0123456789');
    const { log } = await runJob(client, spec);
    expect(log.toString()).toBe('0123456789');
    for (const [logOffset, words] of [
      [11, '10 bytes'],
      [-1, '-1'],
      [1.5, '1.5'],
    ] as const) {
      await expect(followToEnd(client, spec.id, { logOffset })).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(words) });
    }
    expect((await followToEnd(client, spec.id, { logOffset: 10 })).log.length).toBe(0);
  });

  test('a follower that comes back to a log that a power cut has shortened still gets the records', async () => {
    const client = await machine.connect();
    const spec = specOf('printf 0123456789');
    await runJob(client, spec);
    truncateSync(machine.jobFile(spec.id, 'log'), 4);
    const { log, records } = await followToEnd(client, spec.id, { logOffset: 10, record: 2 });
    expect(log.length).toBe(0);
    expect(statesOf(records)).toEqual(['ended']);
  });

  test('without following: what is there now, and back', async () => {
    const client = await machine.connect();
    const spec = specOf('echo begun; sleep 60');
    await client.call('submit', { spec });
    await until(() => logBytes(spec.id) > 0, 'the job');
    const { log, records } = await followToEnd(client, spec.id, { follow: false });
    expect(log.toString()).toBe('begun\n');
    expect(statesOf(records)).toEqual(['queued', 'running']);
  });

  test('many followers at once, one of them slow, one that leaves', async () => {
    const client = await machine.connect();
    const spec = specOf('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); echo "line $i"; done');
    await client.call('submit', { spec });
    const slow = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true });
    const leaving = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true });
    for await (const part of leaving.parts()) if (part.kind === 'block') break;
    leaving.cancel();
    const logs = await Promise.all([followToEnd(client, spec.id), followToEnd(client, spec.id), followToEnd(await machine.connect(), spec.id)]);
    for (const { log } of logs) expect(sha256(log)).toBe(sha256(manyLines));
    const late: Uint8Array[] = [];
    for await (const part of slow.parts()) if (part.kind === 'block') late.push(part.block.bytes);
    expect(sha256(Buffer.concat(late))).toBe(sha256(manyLines));
  });

  test('what was there already comes packed for whoever unpacks it, and as it is for all others', async () => {
    const client = await machine.connect();
    const spec = specOf('seq -f "line %.0f" 200000; head -c 1000000 /dev/urandom');
    await client.call('submit', { spec });
    await followToEnd(client, spec.id);
    const wire = async (packed?: readonly string[]) => {
      const call = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true, ...(packed === undefined ? {} : { packed }) });
      const before = call.heardBytes();
      const pieces: Uint8Array[] = [];
      for await (const part of call.parts()) if (part.kind === 'block') pieces.push(part.block.bytes);
      await call.result;
      return { bytes: call.heardBytes() - before, hash: sha256(Buffer.concat(pieces)) };
    };
    const plain = await wire();
    expect(plain.hash).toBe(sha256(readFileSync(machine.jobFile(spec.id, 'log'))));
    for (const packed of [['brotli'], ['zstd', 'brotli']]) {
      const { bytes, hash } = await wire(packed);
      expect(hash).toBe(plain.hash);
      expect(bytes).toBeLessThan(plain.bytes / 2);
    }
    expect((await wire(['a codec of the future'])).bytes).toBeGreaterThan(plain.bytes / 2);
  });

  test('no file of the job can be read by others', async () => {
    const client = await machine.connect();
    const spec = specOf('echo hello');
    await runJob(client, spec);
    for (const name of readdirSync(join(machine.root, 'jobs', spec.id))) {
      const { mode } = statSync(machine.jobFile(spec.id, name));
      if (['log', 'journal.jsonl', 'job.json', 'state.json'].includes(name)) expect([name, mode & 0o077]).toEqual([name, 0]);
    }
    for (const folder of ['.', 'jobs', 'queue', `jobs/${spec.id}`]) expect(statSync(join(machine.root, folder)).mode & 0o077).toBe(0);
  });
});
