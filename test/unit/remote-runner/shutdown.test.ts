import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildRunner, createMachine } from '../../support/runner.ts';

let folder: string;
let script: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-shutdown-'));
  script = buildRunner(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('shutdown waits for a serving process that is only starting: the folder can be removed and stays removed', async () => {
  for (let round = 0; round < 3; round++) {
    await using machine = createMachine(script);
    const runner = await machine.connect();
    await runner.call('shutdown', { graceMs: 0 });
    expect(machine.pids('serve')).toEqual([]);
    await runner.close();
    rmSync(machine.root, { recursive: true });
    await sleep(300); // a process that was late would have made it again by now
    expect(existsSync(machine.root)).toBe(false);
  }
});
