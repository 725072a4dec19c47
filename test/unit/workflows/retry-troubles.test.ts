/** What goes wrong around an attempt that was cut short, and must cost neither the next one, nor a checkpoint, nor a machine that bills. */
import { existsSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LeaveRunning } from '../../../src/core/errors.ts';
import type { Report } from '../../../src/core/reporter.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';
import { train } from '../../../src/workflows/train.ts';
import { startMlflow } from '../../support/mlflow-server.ts';
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
  expect(fake.reports).toContainEqual(expect.objectContaining({ text: expect.stringMatching(/^ {2}gpu-run train --start-from [^'"]+$/) }));
});

test('a job that is left and goes on: nobody is told to go on from its checkpoint, which would be a second training', async () => {
  const { context, fake, inputOf, trainThrough } = await prepare();
  const { error } = await trainThrough(inputOf(`${saves}; ${works} sleep 60`), [afterFetch(context, () => fake.abort.abort(new LeaveRunning('gone')))]);
  const [job] = context.ledger.listJobs();
  expect(isFetched(context, job?.id ?? '')).toBe(true);
  expect(error).toMatchObject({ message: `Left: ${job?.id} goes on.`, hints: expect.arrayContaining([`gpu-run logs ${job?.id} --follow   shows it`]) });
  expect(fake.reports.filter((report) => 'text' in report && report.text.includes('start-from'))).toEqual([]);
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

test('Ctrl-C when all of a lost attempt is done, and the next is not yet announced: its machine is not left up', async () => {
  const { context, fake, inputOf, provider } = await prepare();
  const ledger = {
    ...context.ledger,
    changeJob: (...[id, change]: Parameters<typeof context.ledger.changeJob>) => {
      const job = context.ledger.changeJob(id, change);
      if (job?.state === 'ended' && job.again === true && job.awaitedBy === null) fake.abort.abort();
      return job;
    },
  };
  const training = train(inputOf(`mkdir -p out; touch out/a; ${works} sleep 60`, { outputs: ['out/'] }), { ...context, ledger }, async (event) => {
    if (event.type === 'log') await reboot(provider.machines.at(-1)?.ref.id ?? '');
  });
  await expect(training).rejects.toMatchObject({ name: 'AbortError' });
  expect(provider.machines).toHaveLength(1);
  expect(context.ledger.list({ live: true })).toEqual([]);
  expect(fake.reports.filter((report) => 'text' in report && report.text.includes('begins in'))).toEqual([]);
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
    expect(context.ledger.listJobs().map(({ id }) => id)).toEqual([job.id]); // it was ordered once, whoever heard of it
    expect(provider.machines).toHaveLength(2);
    const bill = reportCost({ by: 'job', since: null }, context).items.reduce((sum, { usd }) => sum + usd, 0);
    expect(cost.usd).toBeCloseTo(bill, 6); // that of the first one included
  },
);

test('a connection that breaks while a job is submitted: it is asked again under the same name, and runs once', async () => {
  const { context, inputOf, project, provider } = await prepare();
  let broken = 0;
  const report = (what: Report) => {
    if (broken > 0 || !('text' in what) || !what.text.startsWith('Starting job')) return;
    const own = new Set(processesHolding(`/machines/${provider.machines[0]?.ref.id}`));
    for (const pid of processesHolding('runner.mjs connect')) if (own.has(pid)) kill(pid);
    broken += 1;
  };
  let log = '';
  const { job } = await train(inputOf('echo "$GPU_RUN_JOB $GPU_RUN_ATTEMPT"'), { ...context, reporter: { report } }, async (event) => {
    if (event.type === 'log') log += Buffer.from(event.bytes).toString();
  });
  expect({ broken, log, project: existsSync(project) }).toEqual({ broken: 1, log: `${job.id} 1\n`, project: true });
  expect(context.ledger.listJobs()).toMatchObject([{ id: job.id, attempts: 1, end: { code: 0 } }]);
  expect(provider.machines).toHaveLength(1);
});

test('an MLflow server that takes its time does not hold up the end of the machine, and loses nothing by that', async () => {
  const { context, fake, inputOf, provider } = await prepare();
  await using server = await startMlflow();
  server.fault = async (path) => {
    if (path === 'runs/log-batch') await until(() => provider.machines[0]?.goneAt !== null, 'the end of the machine', 8_000);
    return null;
  };
  const mlflow = { trackingUri: server.uri, experiment: 'pets', authorization: null };
  const { job } = await train(inputOf(`echo '{"step": 1, "loss": 0.5}'; echo '{"step": 2, "loss": 0.25}'`), { ...context, mlflow }, async () => {});
  const [run] = server.runs.values();
  expect(run).toMatchObject({ name: job.id, status: 'FINISHED', metrics: [{ step: 1 }, { step: 2 }] });
  expect(fake.reports.filter((report) => 'text' in report && report.text.includes('MLflow'))).toEqual([]);
});

test('another job has saved in the same folder before the next attempt on the same machine: that goes on from its own, and keeps the machine until then', async () => {
  const { context, inputOf, provider } = await prepare();
  const retry = { on: ['lost'], attempts: 3, resumeFrom: 'out' } as const;
  const goesOn = 'if [ "$GPU_RUN_ATTEMPT" -gt 1 ]; then cat "$GPU_RUN_RESUME_FROM/last"; exit 0; fi';
  let log = '';
  let other: Promise<unknown> | null = null;
  const waits = Promise.withResolvers<void>();
  const report = (what: Report) => {
    if ('text' in what && / waits for /.test(what.text)) waits.resolve();
  };
  const { job } = await train(inputOf(`${goesOn}; ${saves}; echo at work; sleep 60`, { retry }), context, (event) => {
    if (event.type !== 'log') return;
    log += Buffer.from(event.bytes).toString();
    if (other !== null) return;
    const [first] = context.ledger.listJobs();
    other = train(inputOf(saves, { retry }), { ...context, reporter: { report } }, () => {});
    void Promise.all([waits.promise, until(() => isFetched(context, first?.id ?? ''), 'the checkpoint')]).then(() => reboot(first?.machineId ?? ''));
  });
  expect(log).toBe(`at work\nof ${job.id}\n`);
  expect(await other).toMatchObject({ job: { end: { code: 0 } } });
  expect([provider.machines.length, context.ledger.getJob(job.id)?.checkpoints]).toEqual([1, `out/${job.id}`]);
});
