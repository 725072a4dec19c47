/** The SDK as its documentation shows it, built package, real machine. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGpuRun, type JobEvent } from '../../dist/index.js';
import { processesWith } from './suite/project.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-sdk-'));
  mkdirSync(join(root, 'cats'));
  writeFileSync(join(root, 'cats', 'train.sh'), 'echo \'{"loss": 0.5, "epoch": 1}\'; mkdir -p outputs; echo model > outputs/model.txt\n');
  writeFileSync(join(root, 'cats', 'gpu-run.yaml'), 'train: sh train.sh\noutputs: [outputs/]\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('up, train, events, outputs, and down at the end of the block', async () => {
  const gpuRun = createGpuRun({ home: join(root, 'home'), folder: join(root, 'cats'), env: { PATH: process.env['PATH'] } });
  {
    await using machine = await gpuRun.up({ name: 'sdk-test' });
    const job = await machine.train();
    const events: JobEvent[] = [];
    for await (const event of job.events()) events.push(event);
    expect(events.at(-1)).toMatchObject({ type: 'state', state: 'ended', end: { code: 0 } });
    expect(events.find((event) => event.type === 'metric')).toMatchObject({ values: { loss: 0.5 } });
    const pulled = await machine.pull();
    expect(pulled.filter(({ path }) => !path.startsWith('outputs/gpu-run/'))).toMatchObject([{ path: 'outputs/model.txt', bytes: 6 }]);
    expect(pulled.filter(({ path }) => path.endsWith('/metrics.jsonl'))).toHaveLength(1);

    // The whole of it, on the machine that is up: it has had a job, so that this one begins in a folder of its own.
    mkdirSync(join(root, 'cats', 'saved'));
    writeFileSync(join(root, 'cats', 'saved', 'last'), 'step 10');
    const log: string[] = [];
    const whole = await gpuRun.train({
      ...{ name: 'sdk-test', startFrom: 'saved', env: { WORD: 'so' } },
      command: 'cat "$GPU_RUN_RESUME_FROM/last"; echo $WORD > outputs/model.txt; exit 4',
      onEvent: (event) => void (event.type === 'log' && log.push(Buffer.from(event.bytes).toString())),
    });
    expect(whole).toMatchObject({ job: { state: 'ended', attempts: 1, end: { code: 4 } }, machineDown: false, leftovers: [], cost: { usd: 0 } });
    expect([log.join(''), readFileSync(join(root, 'cats', 'outputs', 'model.txt'), 'utf8')]).toEqual(['step 10', 'so\n']);
    await expect(gpuRun.train({ name: 'sdk-test', startFrom: 'nowhere' })).rejects.toMatchObject({ code: 'bad-input' });

    const failing = await machine.train({ command: ['sh', '-c', 'cat "$GPU_RUN_RESUME_FROM/last" && exit 3'], startFrom: join(root, 'cats', 'saved') });
    expect(await failing.wait()).toMatchObject({ state: 'ended', end: { code: 3 } });
    expect(await gpuRun.report(failing.id)).toMatchObject({ job: { id: failing.id, end: { code: 3 } }, attempts: 1 });

    const long = await machine.train({ command: 'echo on; sleep 100' });
    for await (const event of long.events()) if (event.type === 'log') break; // a reader that leaves does not hang
    expect(await long.cancel()).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
  }
  expect((await gpuRun.status()).machines).toEqual([]);
  expect(processesWith(root)).toEqual([]);
  expect((await gpuRun.cost()).totalUsd).toBe(0);
});

test('an error that nobody has caught: its message, its code and what to do, and no page of source', () => {
  const program = `import { createGpuRun } from ${JSON.stringify(import.meta.resolve('../../dist/index.js'))};
    await createGpuRun({ home: ${JSON.stringify(join(root, 'home'))} }).report('job-20200101-nosuch');`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: root, encoding: 'utf8' });
  expect(status, stderr).toBe(1);
  expect(stderr).toContain("GpuRunError: There is no job 'job-20200101-nosuch'.");
  expect(stderr).toContain("hints: [ 'gpu-run status --all   lists jobs' ]");
  expect(stderr).not.toContain('backOff');
  expect(Math.max(...stderr.split('\n').map((line) => line.length))).toBeLessThan(400);
});
