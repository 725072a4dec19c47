/** What goes wrong around an attempt that was cut short, and must cost neither the next one, nor a checkpoint, nor a machine that bills. */
import { existsSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';
import { train } from '../../../src/workflows/train.ts';
import { kill, processesHolding, until } from '../../support/runner.ts';
import { type Trouble, takenMachines, works } from './taken-machines.ts';

const prepare = takenMachines();
const saves = 'mkdir -p "$GPU_RUN_CHECKPOINT_DIR"; echo "of $GPU_RUN_JOB" > "$GPU_RUN_CHECKPOINT_DIR/last"';

/** As when a machine is started anew: its processes are gone, it is there. */
const reboot: Trouble = (id) => {
  for (const pid of processesHolding(`/machines/${id}`)) kill(pid);
};

function isFetched({ home }: RunContext, jobId: string): boolean {
  const folder = join(home.jobs, jobId, 'checkpoints');
  return existsSync(folder) && readdirSync(folder).some((name) => /^\d+$/.test(name));
}

/** Once its checkpoint is here, beside the job's events. */
const afterFetch =
  (context: RunContext, trouble: Trouble): Trouble =>
  (machineId) => {
    const [job] = context.ledger.listJobs({ machineId });
    void until(() => isFetched(context, job?.id ?? ''), 'the checkpoint').finally(() => trouble(machineId));
  };

test('checkpoints that can not be put into the project: that is said, and the next attempt comes all the same', async () => {
  const { context, fake, inputOf, project, provider, takeBack, trainThrough } = await prepare();
  symlinkSync(mkdtempSync(join(tmpdir(), 'elsewhere-')), join(project, 'out'));
  const input = inputOf(`${saves}; ${works} if [ "$GPU_RUN_ATTEMPT" -lt 2 ]; then sleep 60; fi`, { outputs: ['out/'] });
  await trainThrough(input, [afterFetch(context, takeBack)]);
  expect(provider.machines).toHaveLength(2);
  expect(fake.reports).toContainEqual(expect.objectContaining({ level: 'warn', text: expect.stringContaining('could not be put into') }));
});

test('a preempted job that is not to be started again: its checkpoint is kept, and its place is said', async () => {
  const { context, fake, inputOf, takeBack, trainThrough } = await prepare();
  const input = inputOf(`${saves}; ${works} sleep 60`, { outputs: ['runs/'], retry: { on: ['lost'], attempts: 3, resumeFrom: 'state' } });
  const { value } = await trainThrough(input, [afterFetch(context, takeBack)]);
  expect(value?.job.end?.reason).toBe('preempted');
  expect(isFetched(context, value?.job.id ?? '')).toBe(true);
  expect(fake.reports).toContainEqual(expect.objectContaining({ text: expect.stringContaining('The last checkpoint that was fetched is in') }));
});

test('Ctrl-C after a job was lost on a machine that lives: nobody would use it again, and it is not left up', async () => {
  const { context, fake, inputOf, provider } = await prepare();
  const training = train(inputOf(`${works} sleep 60`), context, async (event) => {
    if (event.type === 'log') await reboot(provider.machines.at(-1)?.ref.id ?? '');
    if (event.type === 'state' && event.state === 'ended') fake.abort.abort();
  });
  await expect(training).rejects.toMatchObject({ code: 'interrupted' });
  expect(context.ledger.list({ live: true })).toEqual([]);
});

test.each(["'cats' is ready", 'Syncing to', 'Starting job'])(
  'a machine that vanishes at "%s" is lost like any other: the job goes on elsewhere',
  async (at) => {
    const { context, inputOf, provider, vanish } = await prepare();
    let done = false;
    const report = (what: Report) => {
      if (done || !('text' in what) || !what.text.startsWith(at)) return;
      done = true;
      void vanish(provider.machines.at(-1)?.ref.id ?? '');
    };
    const { job, cost } = await train(inputOf('echo done'), { ...context, reporter: { report } }, async () => {});
    expect(job.end).toMatchObject({ code: 0 });
    expect(provider.machines).toHaveLength(2);
    const bill = reportCost({ by: 'job', since: null }, context).items.reduce((sum, { usd }) => sum + usd, 0);
    expect(cost.usd).toBeCloseTo(bill, 6); // that of the first one included
  },
);
