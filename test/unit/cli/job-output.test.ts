import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createJobOutput } from '../../../src/cli/job-output.ts';
import { createQuietView } from '../../../src/cli/render/progress-view.ts';
import { createWhole } from '../../../src/cli/render/whole-log.ts';
import { openScreen } from '../../../src/cli/screen.ts';
import type { OutputStream } from '../../../src/cli/sink.ts';

const mode = { json: false, quiet: false, verbose: false };
const bar = ' 1%\r 50%\r100%\n';

async function show(stdout: OutputStream, fold?: boolean): Promise<void> {
  const screen = openScreen(mode, { stdout, stderr: new PassThrough(), env: { CI: 'true' } });
  const output = createJobOutput(screen, createQuietView({ write: async () => {}, style: screen.errStyle, now: () => 0 }), {
    states: false,
    timestamps: false,
    fold,
  });
  await output.onEvent({ type: 'log', offset: 0, bytes: Buffer.from(bar) });
  await output.print('done');
}

test('a CI system keeps the last state of a bar', async () => {
  const stdout = new PassThrough();
  await show(stdout);
  expect(String(stdout.read())).toBe('100%\n');
});

test('a file gets the log byte for byte, in CI too, unless something else is asked for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-output-'));
  try {
    for (const [fold, kept] of [[undefined, bar] as const, [true, '100%\n'] as const]) {
      const file = createWriteStream(join(folder, 'train.log')) as ReturnType<typeof createWriteStream> & { fd: number };
      await once(file, 'open');
      await show(file, fold);
      await once(file.end(), 'close');
      expect(readFileSync(join(folder, 'train.log'), 'utf8')).toBe(kept);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what is gone is named in the document of a whole log, and characters are not glued over it', () => {
  const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)];
  const whole = createWhole();
  whole.onEvent({ type: 'log', offset: 0, bytes: first });
  whole.onEvent({ type: 'gap', stream: 'out', from: 1, to: 5_001 });
  whole.onEvent({ type: 'log', offset: 5_001, bytes: second });
  whole.onEvent({ type: 'gap', stream: 'err', from: 0, to: 7 });
  whole.onEvent({ type: 'log', stream: 'err', offset: 7, bytes: first });
  whole.onEvent({ type: 'log', stream: 'err', offset: 8, bytes: second });
  const gaps = [
    { from: 1, to: 5_001 },
    { stream: 'stderr', from: 0, to: 7 },
  ];
  expect(whole.document()).toEqual({ log: '\uFFFD\uFFFD', stderr: 'é', gaps });
  expect(createWhole().document()).toEqual({ log: '' });
});
