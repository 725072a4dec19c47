/** The programs in docs/metrics.md, run as they stand there: what they write is read as metrics. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readJsonLine } from '../../remote-runner/metric-line.ts';

const guide = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
const block = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(guide)?.[1] ?? '';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-snippets-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['python', 'gpu_run.py', 'python3', ['-c', 'from gpu_run import log; log(step=1, epoch=0, loss=0.5, lr=float("nan")); log(acc=1)']],
  [
    'js',
    'gpu-run.mjs',
    process.execPath,
    ['--input-type=module', '-e', 'import { log } from "./gpu-run.mjs"; log({ step: 1, epoch: 0, loss: 0.5 }); log({ acc: 1 });'],
  ],
] as const)('the program in %s', (language, name, program, words) => {
  writeFileSync(join(folder, name), block(language));
  const metrics = join(folder, `${language}.jsonl`);
  const { GPU_RUN_METRICS_FILE: _none, ...env } = process.env;
  execFileSync(program, words, { cwd: folder, env }); // elsewhere it does nothing
  execFileSync(program, words, { cwd: folder, env: { ...env, GPU_RUN_METRICS_FILE: metrics } });
  const lines = readFileSync(metrics, 'utf8').trim().split('\n');
  expect(lines.map(readJsonLine)).toEqual([
    { values: { loss: 0.5 }, step: 1, epoch: 0 },
    { values: { acc: 1 }, step: null, epoch: null },
  ]);
});
