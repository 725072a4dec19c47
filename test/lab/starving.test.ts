/** A job whose GPU waits for a CPU, and one that keeps its GPU busy, told apart by what is kept of them. The driver is a fake; the CPU is not. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { koffiFileName } from '../../src/protocol/native.ts';
import type { TelemetrySpan } from '../../src/protocol/telemetry.ts';
import { createFakeDriver, type FakeDriver } from '../support/fake-gpu/fake-driver.ts';
import { findCompiler } from '../support/fake-gpu/fake-gpu.ts';
import { koffiModule } from '../support/koffi.ts';
import { buildRunner, createMachine, runJob, specOf } from '../support/runner.ts';

const [compiler, koffi] = [findCompiler(), koffiModule()];
let folder: string;
let script: string;
let driver: FakeDriver;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-starving-'));
  script = buildRunner(join(folder, 'runner'));
  driver = createFakeDriver(folder, [], { compiler });
  const file = join(folder, 'native', koffiFileName(process.arch));
  mkdirSync(dirname(file));
  if (koffi !== null) copyFileSync(koffi, file);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function spansOf(command: string): Promise<TelemetrySpan[]> {
  await using machine = createMachine(script, { env: driver.env });
  const { records } = await runJob(await machine.connect(), specOf(command));
  return records.flatMap((record) => (record.type === 'telemetry' ? [record.span] : []));
}

const sum = (spans: readonly TelemetrySpan[], of: (span: TelemetrySpan) => number) => spans.reduce((total, span) => total + of(span), 0);

// One thread fills one CPU, however many others there are; the scheduler may move it between samples, seldom within one.
const spinning = 'timeout 25 sh -c "while :; do :; done"; true';

test('a GPU that idles beside a full CPU is starved; one that works is not', async () => {
  driver.become([{ utilization: 0 }, { utilization: 93 }]);
  const spans = await spansOf(spinning);
  expect(spans.length).toBeGreaterThanOrEqual(2);
  expect(spans.every(({ source }) => source === (compiler === null || koffi === null ? 'nvidia-smi' : 'nvml'))).toBe(true);
  const samples = sum(spans, (span) => span.samples);
  expect(sum(spans, ({ gpus }) => gpus[0]?.starved ?? 0) / samples).toBeGreaterThan(0.5);
  expect(sum(spans, ({ gpus }) => gpus[1]?.starved ?? 0)).toBe(0);
  for (const [index, { from }] of spans.entries()) if (index > 0) expect(from).toBe(spans[index - 1]?.to);
});
