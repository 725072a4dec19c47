/** `train --start-from`: its checkpoints are there once, before anybody hears of the job. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import type { Report } from '../../../src/core/reporter.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { closeUnsent } from '../../../src/workflows/keep-job.ts';
import { othersOn } from '../../../src/workflows/last-one.ts';
import { train } from '../../../src/workflows/train.ts';
import { kill, processesHolding, until } from '../../support/runner.ts';
import { type TakenMachines, takenMachines } from './taken-machines.ts';

const prepare = takenMachines();

/** A folder with the checkpoint `step 10`. */
function startIn({ project }: TakenMachines): string {
  const folder = mkdtempSync(join(dirname(project), 'start-'));
  writeFileSync(join(folder, 'last'), 'step 10\n');
  return folder;
}

test('a job whose checkpoints take longer than 30 s to travel is not taken for one whose sender has died', async () => {
  const machines = await prepare();
  const { context } = machines;
  const phases: string[] = [];
  const report = (what: Report) => {
    if (what.type === 'phase') phases.push(what.text);
    if (!('text' in what) || what.text !== 'Sending checkpoints') return;
    // So much later another gpu-run asks the machine for its jobs.
    const [machine] = context.ledger.list({ live: true });
    const later = { ...context.clock, now: () => context.clock.now() + 31_000 };
    if (machine !== undefined) closeUnsent(machine, { ids: new Set(), asked: later.now() }, { ledger: context.ledger, clock: later });
  };
  const seen: unknown[] = [];
  const go = join(dirname(machines.project), 'go');
  const input = { ...machines.inputOf('echo at work; until [ -e "$GO" ]; do sleep 0.02; done', { env: { GO: go } }), startFrom: startIn(machines) };
  await train(input, { ...context, reporter: { report } }, async (event) => {
    if (event.type !== 'log') return;
    const [job] = context.ledger.listJobs();
    const [machine] = context.ledger.list({ live: true });
    if (machine !== undefined) seen.push([job?.state, job?.end], await othersOn({ id: 'job-other' } as JobEntry, machine, input, context));
    writeFileSync(go, '');
  });
  const [job] = context.ledger.listJobs();
  expect(seen).toEqual([['running', null], `'cats' stays up for ${job?.id}`]);
  const told = phases.flatMap((text) => /^(Synced|Sending checkpoints|Sent checkpoints|Starting job)/.exec(text)?.[0] ?? []);
  expect(told).toEqual(['Synced', 'Sending checkpoints', 'Sent checkpoints', 'Starting job']);
});

test('what a job has saved is not put aside for what it has begun with, where nobody heard that it had arrived', async () => {
  const machines = await prepare();
  const { context, inputOf, project, provider } = machines;
  const [saved, go] = [join(dirname(project), 'saved'), join(dirname(project), 'go-on')];
  let isDeaf = false;
  const texts: string[] = [];
  const report = (what: Report) => {
    if (what.type === 'note') texts.push(what.text);
    if (isDeaf || !('text' in what) || !what.text.startsWith('Sent checkpoints')) return;
    isDeaf = true; // the answer to the submit does not come through
    void until(() => existsSync(saved), 'the job has saved').then(() => {
      const own = new Set(processesHolding(`/machines/${provider.machines[0]?.ref.id}`));
      for (const pid of processesHolding('runner.mjs connect')) if (own.has(pid)) kill(pid);
    });
  };
  const connect = (machine: MachineEntry) => {
    const transport = context.connect(machine);
    const exec: typeof transport.exec = (argv, options) => {
      const remote = transport.exec(argv, options);
      if (existsSync(saved)) return remote;
      const stdout = new PassThrough();
      remote.stdout.on('data', (bytes: Uint8Array) => isDeaf || stdout.write(bytes));
      remote.stdout.on('end', () => stdout.end());
      return { ...remote, stdout };
    };
    return { ...transport, exec };
  };
  const command = 'cd "$GPU_RUN_CHECKPOINT_DIR"; cat last; echo "step 1000" > last; touch "$SAVED"; until [ -e "$GO" ]; do sleep 0.02; done; cat last';
  let log = '';
  const input = { ...inputOf(command, { env: { SAVED: saved, GO: go }, teardown: 'down' }), startFrom: startIn(machines) };
  await train(input, { ...context, connect, reporter: { report } }, async (event) => {
    if (event.type === 'state' && event.state === 'running') writeFileSync(go, '');
    if (event.type === 'log') log += Buffer.from(event.bytes).toString();
  });
  expect({ isDeaf, log, texts }).toEqual({ isDeaf: true, log: 'step 10\nstep 1000\n', texts: [] });
});

test('interrupted before it was sent, on a machine that stays: there is no such job', async () => {
  const machines = await prepare();
  const { context, fake } = machines;
  const report = (what: Report) => {
    if ('text' in what && what.text === 'Sending checkpoints') fake.abort.abort();
  };
  const input = { ...machines.inputOf('echo never', { teardown: 'keep' }), startFrom: startIn(machines) };
  await expect(train(input, { ...context, reporter: { report } }, async () => {})).rejects.toMatchObject({ code: 'interrupted' });
  expect(context.ledger.listJobs()).toEqual([]);
});
