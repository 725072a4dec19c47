/** What was launched becomes ready for jobs, or the reason why it can't be is thrown. Ends nothing: the caller does. */
import { GpuRunError } from '../core/errors.ts';
import type { ResourceNeed } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { reachMachine } from './reach-machine.ts';
import { writeSshConfig } from './ssh-config.ts';

/** From the order until SSH answers. */
const bootWithinMs = 10 * 60_000;

/** @throws GpuRunError `unfit` when it does not boot or its GPUs do not answer, `lost` when it ended meanwhile: both may work elsewhere */
export async function makeReady(launched: MachineEntry, need: ResourceNeed, context: RunContext): Promise<MachineEntry> {
  const machine = await waitForAccess(launched, context);
  context.reporter.report({ type: 'phase', phase: 'connect', status: 'begin', text: `Connecting to '${machine.name}'` });
  await using reached = await reachMachine(machine, context);
  if (need.gpu !== undefined) {
    context.reporter.report({ type: 'phase', phase: 'preflight', status: 'begin', text: 'Checking the GPUs' });
    const { gpus, problem } = await reached.runner.call('gpus', {});
    if (gpus.length < need.gpu.count) {
      throw new GpuRunError('unfit', `${gpus.length} of ${need.gpu.count} GPUs answer on '${machine.name}'${problem === null ? '' : `: ${problem}`}.`, {
        retry: 'elsewhere',
      });
    }
  }
  if (machine.access === null) throw new GpuRunError('internal', 'a machine without an address was reached');
  const ready = context.ledger.note(machine.id, { fact: 'ready', access: machine.access });
  writeSshConfig(context);
  return ready;
}

async function waitForAccess(machine: MachineEntry, context: RunContext): Promise<MachineEntry> {
  if (machine.ref === null) throw new GpuRunError('internal', 'a launched machine has no ref');
  const provider = await context.providers.get(machine.provider);
  const until = context.clock.now() + bootWithinMs;
  for (let pause = 25; ; pause = Math.min(pause * 2, 3_000)) {
    const status = await provider.describe(machine.ref, context.signal);
    if (status.state === 'running' && status.access !== null) return context.ledger.note(machine.id, { fact: 'seen', access: status.access });
    if (status.state === 'gone' || status.state === 'ending') {
      throw new GpuRunError('lost', `'${machine.name}' ended while it was starting${status.detail === null ? '' : `: ${status.detail}`}.`, {
        retry: 'elsewhere',
      });
    }
    if (context.clock.now() > until) throw new GpuRunError('unfit', `'${machine.name}' did not start within 10 minutes.`, { retry: 'elsewhere' });
    await context.clock.sleep(pause, context.signal);
  }
}
