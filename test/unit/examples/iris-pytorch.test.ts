import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyExample, jsonLines, run } from './run-example.ts';

const works = (argv: readonly [string, ...string[]]) => spawnSync(argv[0], argv.slice(1)).status === 0;
const pythons = ['python3', '/usr/bin/python3'].filter((python) => works([python, '--version']));
const withTorch = pythons.find((python) => works([python, '-c', 'import torch']));
const why = withTorch === undefined ? ' (left out: no python3 here has PyTorch; apt-get install python3-torch)' : '';

describe.runIf(withTorch !== undefined)(`examples/iris-pytorch${why}`, { timeout: 120_000 }, () => {
  async function trainIn(folder: string, options?: Parameters<typeof run>[2]) {
    const ended = await run([withTorch ?? '', 'train.py'], folder, options);
    const file = join(folder, 'outputs/metrics.json');
    return { ...ended, metrics: existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>) : null };
  }

  test('learns to 0.93 on the test rows; stopped by SIGTERM, it goes on as if it had never stopped', async () => {
    const whole = await trainIn(copyExample('iris-pytorch'));
    expect(whole.code).toBe(0);
    expect(whole.stderr).toMatch(/^PyTorch \S+ on .+\n$/);
    const lines = jsonLines(whole.stdout);
    expect(lines.slice(0, -1).map(({ epoch }) => epoch)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    for (const line of lines.slice(0, -1)) expect(Object.keys(line)).toEqual(['epoch', 'loss', 'acc', 'val_loss', 'val_acc']);
    expect(whole.metrics?.['test_acc']).toBeGreaterThanOrEqual(0.93);
    expect(whole.metrics).toMatchObject(lines.at(-1) ?? {});

    const folder = copyExample('iris-pytorch');
    const env = { GPU_RUN_CHECKPOINT_DIR: join(folder, 'outputs/elsewhere') };
    const stopped = await trainIn(folder, { env, stopAfterLine: '"epoch":5,' });
    expect(stopped).toMatchObject({ code: 143, metrics: null });
    expect(existsSync(join(folder, 'outputs/elsewhere/checkpoint.pt'))).toBe(true);
    const rest = await trainIn(folder, { env });
    expect(rest.stderr).toMatch(/\nGoing on after epoch \d+ of /);
    expect(stopped.stdout + rest.stdout).toBe(whole.stdout);
    expect(rest.metrics).toEqual(whole.metrics);
  });
});

describe.runIf(pythons.length > 0)(`examples/iris-pytorch${pythons.length > 0 ? '' : ' (left out: no python3 here)'}`, () => {
  /** `-S` hides all installed packages, `-E` what PYTHONPATH adds. */
  test('without PyTorch it exits 78 and says how to install it', async () => {
    const ended = await run([pythons[0] ?? '', '-E', '-S', 'train.py'], copyExample('iris-pytorch'));
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(ended.stderr).toMatch(/needs PyTorch, and \/.* has none[\s\S]*pip install torch[\s\S]*apt-get install python3-torch/);
  });

  test('its split is disjoint, complete and stratified, and scaling is fitted to the rows it is given', async () => {
    const program = `
import json
from data import *
rows = read_rows("data/iris.csv")
for seed in range(50):
    parts = split_rows(rows, seed)
    assert sorted(sum(parts, [])) == sorted(rows) and len({id(row) for part in parts for row in part}) == 150
    assert [[[row[1] for row in part].count(label) for label in range(3)] for part in parts] == [[30] * 3, [10] * 3, [10] * 3]
train = split_rows(rows, 1)[0]
columns = list(zip(*(features for features, _ in scale_rows(train, fit_scaling(train)))))
assert all(abs(sum(c)) < 1e-9 and abs(sum(v * v for v in c) / len(c) - 1) < 1e-9 for c in columns)
print(json.dumps({"rows": len(rows)}))`;
    expect(await run([pythons[0] ?? '', '-c', program], copyExample('iris-pytorch'))).toEqual({ code: 0, stdout: '{"rows": 150}\n', stderr: '' });
  });
});
