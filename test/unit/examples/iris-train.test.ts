import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyExample, jsonLines, run } from './run-example.ts';

const train = [process.execPath, 'train.js'] as const;
const slow = { timeout: 120_000 };

async function trainIn(folder: string, options?: Parameters<typeof run>[2]) {
  const ended = await run(train, folder, options);
  const file = join(folder, 'outputs/metrics.json');
  return { ...ended, metrics: existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>) : null };
}

/** An example that trains for fewer than its 100 epochs. */
function shortExample(epochs: number): string {
  const folder = copyExample('iris');
  const file = join(folder, 'train.js');
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('epochs: 100');
  writeFileSync(file, text.replace('epochs: 100', `epochs: ${epochs}`));
  return folder;
}

const briefly = 40;
/** The run that others are compared with, made once. */
let brief: ReturnType<typeof trainIn> | null = null;
function briefRun(): ReturnType<typeof trainIn> {
  brief ??= trainIn(shortExample(briefly));
  return brief;
}

describe('examples/iris', slow, () => {
  test('learns to 0.93 on the test rows', async () => {
    const folder = copyExample('iris');
    const first = await trainIn(folder);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const lines = jsonLines(first.stdout);
    const epochs = lines.slice(0, -1);
    expect(epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    for (const line of epochs) expect(Object.keys(line)).toEqual(['epoch', 'loss', 'acc', 'val_loss', 'val_acc']);
    expect(epochs.at(-1)?.['loss']).toBeLessThan((epochs[0]?.['loss'] ?? 0) / 5);
    expect(first.metrics?.['test_acc']).toBeGreaterThanOrEqual(0.93);
    expect(first.metrics).toMatchObject(lines.at(-1) ?? {});
    expect(readdirSync(join(folder, 'outputs'), { recursive: true }).sort()).toEqual([
      'checkpoints',
      'checkpoints/model.json',
      'checkpoints/weights.bin',
      'metrics.json',
    ]);
  });

  test('learns the same way every time', async () => {
    const first = await briefRun();
    expect(jsonLines(first.stdout)).toHaveLength(briefly + 1);
    expect(await trainIn(shortExample(briefly))).toEqual(first);
  });

  test('never sees a test row while it learns', async () => {
    const honest = await briefRun();
    const folder = shortExample(briefly);
    distortTestRows(folder, await testRowsOf(folder, honest.metrics?.['seed'] ?? Number.NaN));
    const distorted = await trainIn(folder);
    expect(jsonLines(distorted.stdout).slice(0, -1)).toEqual(jsonLines(honest.stdout).slice(0, -1));
    expect(jsonLines(distorted.stdout).at(-1)).not.toEqual(jsonLines(honest.stdout).at(-1));
  });

  test('stopped by SIGTERM, it goes on as if it had never stopped', async () => {
    const uninterrupted = await briefRun();
    const folder = shortExample(briefly);
    const env = { GPU_RUN_CHECKPOINT_DIR: join(folder, 'outputs/elsewhere') };
    const stopped = await trainIn(folder, { env, stopAfterLine: '"epoch":5,' });
    expect(stopped).toMatchObject({ code: 143, metrics: null });
    expect(stopped.stderr).toMatch(/^Asked to stop: saved epoch \d+ of 40 to .*elsewhere\n$/);
    const rest = await trainIn(folder, { env });
    expect(rest.stderr).toMatch(/^Going on after epoch \d+ of /);
    expect(stopped.stdout + rest.stdout).toBe(uninterrupted.stdout);
    expect(rest.metrics).toEqual(uninterrupted.metrics);
  });

  test('begins anew after a run that was finished, and fails when it learned too little', async () => {
    const folder = shortExample(3);
    const env = { GPU_RUN_CHECKPOINT_DIR: join(folder, 'outputs/checkpoints'), GPU_RUN_RESUME_FROM: 'outputs/checkpoints' };
    const first = await trainIn(folder, { env });
    expect(first.code).toBe(1);
    expect(first.stderr).toContain('is below the 0.93');
    expect(await trainIn(folder, { env })).toEqual(first);
  });
});

async function testRowsOf(folder: string, seed: number): Promise<ReadonlySet<string>> {
  const { readRows, splitRows } = await import(join(folder, 'data.js'));
  const { seededRandom } = await import(join(folder, 'random.js'));
  const { test: rows } = splitRows(readRows(join(folder, 'data/iris.csv')), seededRandom(seed)) as { test: { features: number[] }[] };
  return new Set(rows.map(({ features }) => features.map((value) => value.toFixed(1)).join()));
}

/** Test rows become nonsense. Those that also occur among the other rows would change what is learned: there are none. */
function distortTestRows(folder: string, rows: ReadonlySet<string>): void {
  const file = join(folder, 'data/iris.csv');
  let changed = 0;
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => {
      const at = line.lastIndexOf(',');
      if (!rows.has(line.slice(0, at))) return line;
      changed++;
      return `90.0,-90.0,90.0,-90.0${line.slice(at)}`;
    });
  expect(changed).toBe(30);
  writeFileSync(file, lines.join('\n'));
}
