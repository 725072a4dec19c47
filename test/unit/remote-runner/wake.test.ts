/** Sleeping until something changes in a folder: real files, and the system's own news of them. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { briskly, calmly, type Wake, type WakeOptions, wakeOn } from '../../../remote-runner/wake.ts';

const hourMs = 3_600_000;
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

/** Waits again and again until a look finds the file. Without being woken, that is in an hour. */
async function waitFor(woken: Wake, isThere: () => boolean): Promise<number> {
  let looks = 0;
  for (; !isThere(); looks += 1) await woken.wait(hourMs);
  return looks;
}

test.each([
  ['brisk', briskly],
  ['calm', calmly],
])('%s: whatever the moment of a change, one of the next looks finds it', async (_, options: WakeOptions) => {
  const woken = wakeOn([folder], options);
  wake = woken;
  for (let round = 0; round < 12; round += 1) {
    let isThere = false;
    const write = () => {
      change(String(round));
      isThere = true;
    };
    setTimeout(write, round * 12);
    await waitFor(woken, () => isThere);
  }
});

test('files that are no news wake nobody', async () => {
  const woken = wakeOn([folder], { ...calmly, isNews: (name) => name !== 'own' });
  wake = woken;
  await woken.wait(hourMs); // from now on it listens
  let isWoken = false;
  const waiting = woken.wait(hourMs).then(() => {
    isWoken = true;
  });
  const other = wakeOn([folder], briskly); // hears the same, in the same order
  await other.wait(hourMs);
  change('own');
  await other.wait(hourMs);
  other.close();
  expect(isWoken).toBe(false);
  change('other');
  await waiting;
});

test('on a file system that may change unheard, and where there is no folder, nobody sleeps for long', async () => {
  for (const deaf of ['/proc', join(folder, 'missing')]) {
    const woken = wakeOn([deaf], calmly);
    await woken.wait(hourMs);
    await woken.wait(hourMs);
    woken.close();
  }
});

test('in a stream of changes nobody listens, but each is found within a moment; after it, changes wake again', async () => {
  const woken = wakeOn([folder], calmly);
  wake = woken;
  let written = 0;
  const print = () => {
    written += 1;
    change('log');
  };
  const stream = setInterval(print, 5);
  for (let looks = 0, seen = 0; looks < 6; looks += 1) {
    if (written > seen) woken.found();
    seen = written;
    await woken.wait(hourMs);
  }
  clearInterval(stream);
  await woken.wait(0);
  const before = written;
  setTimeout(print, 300);
  await waitFor(woken, () => written > before);
});
