import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identify } from '../../../remote-runner/processes.ts';
import { takeLock } from '../../../remote-runner/sync-lock.ts';
import { temporaryFolder } from '../../support/tree.ts';

let folder: ReturnType<typeof temporaryFolder>;
let lock: string;
beforeEach(() => {
  folder = temporaryFolder('lock');
  lock = join(folder.path, 'code.lock');
});
afterEach(() => folder.remove());

const { signal } = new AbortController();
const visible = () => readdirSync(lock).filter((name) => !name.startsWith('.'));

describe('takeLock', () => {
  it('lets one in at a time, and the next one afterwards', async () => {
    const first = await takeLock(lock, 0, signal);
    await expect(takeLock(lock, 0, signal)).rejects.toMatchObject({ code: 'conflict' });
    const second = takeLock(lock, 60_000, signal);
    first.release();
    (await second).release();
    (await takeLock(lock, 0, signal)).release();
    expect(readdirSync(lock)).toHaveLength(1);
  });

  it('never lets two in, however many come at once', async () => {
    let inside = 0;
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const held = await takeLock(lock, 60_000, signal);
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(n);
        inside -= 1;
        held.release();
      }),
    );
    expect(order.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('takes over from a process that is gone, a reused pid and a damaged file, and never from one that lives', async () => {
    mkdirSync(lock);
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      const identity = identify(child.pid!)!;
      const write = (name: string, value: object) => writeFileSync(join(lock, name), JSON.stringify({ token: 't', since: 0, ...value }));
      write('1', { ...identity, started: '1' });
      (await takeLock(lock, 0, signal)).release();
      write('3', identity);
      await expect(takeLock(lock, 0, signal)).rejects.toMatchObject({ code: 'conflict' });
      child.kill('SIGKILL');
      await once(child, 'exit');
      (await takeLock(lock, 0, signal)).release();
      write('5', { ...identify(process.pid) });
      (await takeLock(lock, 0, signal)).release();
      writeFileSync(join(lock, '7'), '{"pid":');
      (await takeLock(lock, 0, signal)).release();
      expect(visible()).toEqual(['8']);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('stops waiting when told, and leaves nothing behind', async () => {
    const held = await takeLock(lock, 0, signal);
    const abort = new AbortController();
    const waiting = takeLock(lock, 60_000, abort.signal);
    abort.abort();
    await expect(waiting).rejects.toThrow();
    held.release();
    expect(visible()).toEqual(['1']);
    expect(existsSync(join(lock, '2'))).toBe(false);
    expect(readdirSync(lock)).toHaveLength(1);
  });
});
