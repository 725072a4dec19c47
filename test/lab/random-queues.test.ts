/** Random queues of jobs on 2 and on 8 GPUs, while the serving process is killed again and again: no GPU is given twice, none starves. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JobSpec } from '../../src/protocol/job.ts';
import { useBuiltRunner } from '../support/built-runner.ts';
import { createFakeGpus } from '../support/fake-gpu/fake-gpu.ts';
import { createMachine, followToEnd, kill, specOf, summaryOf, until } from '../support/runner.ts';

const built = useBuiltRunner();

const pick = (most: number) => Math.floor(Math.random() * most);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes a line when it begins and when it ends, each in one write, with the GPUs that it sees. */
const jobOf = (n: number, gpus: number | null): JobSpec => {
  const line = (what: string) => `printf '${what} ${n} %s\\n' "$CUDA_VISIBLE_DEVICES" >> times`;
  return specOf(`${line('begin')}; sleep 0.${pick(4)}; ${line('end')}; exit ${n}`, { gpus });
};

interface Line {
  readonly what: string;
  readonly n: number;
  readonly gpus: readonly string[];
}

test.each([
  [2, 1],
  [2, 2],
  [8, 1],
  [8, 2],
])('%i GPUs, round %i', { timeout: 240_000 }, async (most) => {
  const { CUDA_VISIBLE_DEVICES: _, ...base } = process.env;
  const names = Array.from({ length: most }, () => 'NVIDIA L4');
  const fake = createFakeGpus(mkdtempSync(join(built.folder, 'gpus-')), names, null, base);
  await using machine = createMachine(built.script, { env: fake.env });
  const client = await machine.connect();
  const specs = Array.from({ length: 14 }, (_each, n) => jobOf(n, pick(8) === 0 ? null : 1 + pick(most)));
  let killing = true;
  const killer = (async () => {
    for (let kills = 0; killing && kills < 25; kills++) {
      await wait(Math.random() * 700);
      for (const pid of machine.pids('serve')) kill(pid);
    }
  })();
  for (const spec of specs) await until(() => client.call('submit', { spec }).catch(() => null), 'an answer to submit', 60_000);
  for (const { id } of specs) await followToEnd(client, id);
  killing = false;
  await killer;

  const file = join(machine.workdir, 'times');
  const lines = (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []).map((line): Line => {
    const [what = '', n = '', seen = ''] = line.split(' ');
    return { what, n: Number(n), gpus: seen === '' ? names.map((_name, index) => `GPU-${index}`) : seen.split(',') };
  });
  const held = new Map<string, number>();
  for (const { what, n, gpus } of lines) {
    if (what === 'begin') expect(gpus).toHaveLength(specs[n]?.gpus ?? most);
    for (const gpu of gpus) {
      if (what === 'begin') {
        expect(held.has(gpu), `${gpu} was given to ${n} while ${held.get(gpu)} had it\n${JSON.stringify(lines)}`).toBe(false);
        held.set(gpu, n);
      } else held.delete(gpu);
    }
  }
  // Those that begin at once may write their lines in either order; one that needs what another has may not overtake it.
  const begins = lines.filter(({ what }) => what === 'begin').map(({ n }) => n);
  expect(new Set(begins).size).toBe(begins.length);
  for (const [n, { id }] of specs.entries()) {
    const { end, startedAt } = await summaryOf(client, id);
    // Nobody saw it when the serving process was killed in the very moment of starting the command.
    expect([n, null]).toContain(end?.code);
    const before = n === 0 ? null : (await summaryOf(client, specs[n - 1]?.id ?? '')).startedAt;
    if (startedAt !== null && before !== null) expect(startedAt).toBeGreaterThanOrEqual(before);
  }
});
