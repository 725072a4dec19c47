/** A job that its machine, which stays, does not take, or of which nobody knows whether it has. */
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { Report } from '../../../src/core/reporter.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { train } from '../../../src/workflows/train.ts';
import { kill, processesHolding } from '../../support/runner.ts';
import { takenMachines } from './taken-machines.ts';

const prepare = takenMachines();

test('refused: it is not in the queue, and what was wrong with it is kept', async () => {
  const { context, inputOf } = await prepare();
  const training = train(inputOf('true', { teardown: 'keep', metrics: { loss: '(' } }), context, async () => {});
  const failure: GpuRunError = await training.then(
    () => expect.unreachable(),
    (error) => error,
  );
  expect(failure.code).toBe('bad-input');
  const end = { code: null, reason: 'not-started', detail: `${failure.message.replace(/\.$/, '')}: it never ran` };
  expect(context.ledger.listJobs()).toMatchObject([{ state: 'ended', end, awaitedBy: null }]);
});

test('nobody heard whether it has arrived: the error says which job may run there', async () => {
  const { context, inputOf, provider } = await prepare();
  let isCut = false;
  const report = (what: Report) => {
    if (isCut || !('text' in what) || !what.text.startsWith('Starting job')) return;
    isCut = true;
    const own = new Set(processesHolding(`/machines/${provider.machines[0]?.ref.id}`));
    for (const pid of processesHolding('runner.mjs connect')) if (own.has(pid)) kill(pid);
  };
  const connect = (machine: MachineEntry) => {
    const transport = context.connect(machine);
    const nobody = async () => Promise.reject(new GpuRunError('connection', 'Nobody answers.', { retry: 'same' }));
    return isCut ? { ...transport, connect: nobody } : transport;
  };
  const training = train(inputOf('true', { teardown: 'keep' }), { ...context, connect, reporter: { report } }, async () => {});
  const failure: GpuRunError = await training.then(
    () => expect.unreachable(),
    (error) => error,
  );
  const [job] = context.ledger.listJobs();
  expect(failure.code).toBe('connection');
  expect(failure.hints).toContain(`${job?.id} may go on: gpu-run logs ${job?.id} --follow`);
  expect(failure.hints).toContainEqual(expect.stringContaining("'cats' stays up"));
});
