/** Sleeping until something changes in a folder: real files, and the system's own news of them. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Wake, wakeOn } from '../../../remote-runner/wake.ts';

const brisk = { calmMs: 1, briskMs: 0 };
let folder: string;
let wake: Wake | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-wake-'));
});
afterEach(() => {
  wake?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** From here on the wake listens and somebody waits. */
async function armed(made: Wake): Promise<void> {
  await made.wait(0);
  await made.wait(0);
}

const change = (name: string) => appendFileSync(join(folder, name), 'x');

test('news that were dealt with end no wait; others do', async () => {
  const news: string[] = [];
  for (const name of ['log', 'journal']) change(name);
  wake = wakeOn([folder], brisk, (name) => {
    news.push(name);
    if (news.length === 1) change('journal');
    return name === 'log';
  });
  await armed(wake);
  const waiting = wake.wait(60_000);
  change('log');
  await waiting;
  expect(news).toEqual(['log', 'journal']);
});

test('a wait that goes on after news can be made shorter, never longer', async () => {
  wake = wakeOn([folder], brisk, () => {
    wake?.within(1);
    wake?.within(60_000);
    return true;
  });
  await armed(wake);
  const waiting = wake.wait(60_000);
  change('log');
  await waiting;
});
