/**
 * The event files of gpu-run, read by programs that are not ours: by TensorBoard itself where `GPU_RUN_LAB_PYTHON` (or `python3`)
 * has it, else by Google's protobuf from Debian (python3-protobuf, protobuf-compiler) with a message definition of our own.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobOrder } from '../../remote-runner/job-files.ts';
import { openJournal } from '../../remote-runner/journal.ts';
import { jobFolder, machineFolder } from '../../remote-runner/machine-folder.ts';
import { openMetricFiles } from '../../remote-runner/metric-files.ts';
import { metricsPlace } from '../../src/protocol/metric-files.ts';

const reading = join(import.meta.dirname, 'tensorboard');

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-tensorboard-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Python with TensorBoard, else Debian's, whose protobuf fits its compiler. */
function python(): string {
  const given = process.env['GPU_RUN_LAB_PYTHON'] ?? 'python3';
  try {
    execFileSync(given, ['-c', 'import tensorboard.backend'], { stdio: 'ignore' });
    return given;
  } catch {
    return '/usr/bin/python3';
  }
}

test('a job’s event file gives another reader the same scalars, from several attempts too', () => {
  const machine = machineFolder(root);
  mkdirSync(join(machine.workdir, 'runs'), { recursive: true });
  const expected: [string, number, number, number][] = [];
  const write = (attempt: number, steps: readonly number[]) => {
    const job = jobFolder(machine, `job-${attempt}`);
    mkdirSync(job.path, { recursive: true });
    const order = { id: `job-${attempt}`, attempt, createdAt: 1_763_700_000_000 + attempt * 60_000, outputs: ['runs'] } as unknown as JobOrder;
    let t = order.createdAt;
    const journal = openJournal(job.journal, () => t);
    const files = openMetricFiles(machine, job, order);
    for (const step of steps) {
      t += 250;
      const values = { loss: 1 / (step + 3), 'val/Genauigkeit ä': step * 1e20, negative: -0.5 };
      journal.append([{ type: 'metric', values, step, epoch: null, source: 'json', at: step }]);
      files.update(false);
      for (const [tag, value] of Object.entries(values)) expected.push([tag, step, t / 1000, Math.fround(value)]);
    }
    files.update(true);
    files.close();
    journal.close();
    return join(machine.workdir, metricsPlace(order)?.events ?? '');
  };
  const paths = [write(1, [0, 1, 127, 128, 2 ** 31]), write(2, [2 ** 31, 2 ** 40])];
  execFileSync('protoc', [`--python_out=${root}`, `--proto_path=${reading}`, 'event.proto']);
  const got = paths.flatMap((path) => {
    const answer = JSON.parse(execFileSync(python(), [join(reading, 'read_events.py'), path, root], { encoding: 'utf8' }));
    console.log(`read by ${answer.reader}`);
    return answer.scalars as [string, number, number, number][];
  });
  const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort();
  expect(sorted(got)).toEqual(sorted(expected));
});
