/**
 * `node bench/up-many.js COUNT`: so many machines of one need `up` at once from this one process, then all of them down again, as a
 * program that uses the SDK does it. Says on stdout how long each took and what this process has needed. Plain JavaScript: Node's own
 * TypeScript reader would need memory here that is not ours.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { createGpuRun } = await import(new URL('../dist/index.js', import.meta.url).href);

const count = Number(process.argv[2] ?? 1);
const root = mkdtempSync(join(tmpdir(), 'gpu-run-many-'));
try {
  const gpuRun = createGpuRun({ home: join(root, 'home'), folder: root, env: { ...process.env, GPU_RUN_NODE_MIRROR: 'off' } });
  const begun = performance.now();
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  const made = await Promise.allSettled(names.map((name) => gpuRun.up({ name, provider: 'gcp', gpu: 'L4:1', spot: true })));
  const up = performance.now();
  await gpuRun.down();
  const down = performance.now();
  for (const each of made) if (each.status === 'rejected') throw each.reason;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const cpuMs = (userCPUTime + systemCPUTime) / 1000; // of this process alone: the emulated machines compute elsewhere
  console.log(JSON.stringify({ machines: made.length, upMs: up - begun, downMs: down - up, cpuMs, peakBytes: maxRSS * 1024 }));
} finally {
  rmSync(root, { recursive: true, force: true });
}
