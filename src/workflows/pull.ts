/** `pull`: outputs from the machine into the project's folder, verified. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { isMetricsFile } from '../protocol/metric-files.ts';
import { type PulledFile, pullOutputs } from '../sync/pull.ts';
import type { RunContext } from './context.ts';
import { countPulled } from './cost-egress.ts';
import { type PlainMachine, reachOrPlain } from './plain-machine.ts';
import type { ReachedMachine } from './reach-machine.ts';

export interface PullInput {
  readonly name: string;
  /** Relative to the workdir. */
  readonly paths: readonly string[];
  /** Absolute. */
  readonly into: string;
  /** A path at which nothing was found is an error: somebody named it by hand. */
  readonly strict: boolean;
  /** As in `PushInput`. */
  readonly hosts?: Readonly<Record<string, unknown>>;
}

export async function pull(input: PullInput, context: RunContext): Promise<readonly PulledFile[]> {
  const files = await reachOrPlain(input, context, {
    withRunner: (reached) => pullInto(reached, input.paths, input.into, context),
    without: (plain) => pullPlain(plain, input, context),
  });
  const clean = (path: string) => path.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  const missing = input.paths.filter((path) => !files.some((file) => file.path === clean(path) || file.path.startsWith(`${clean(path)}/`)));
  if (!input.strict || missing.length === 0) return files;
  throw new GpuRunError('not-found', `Nothing was found to pull at ${missing.join(', ')}: it is not there, or as it was sent.`, {
    hints: [`gpu-run ssh ${input.name}   to look; paths are relative to the workdir`],
  });
}

async function pullPlain(plain: PlainMachine, { paths, into }: PullInput, { reporter, signal }: RunContext): Promise<readonly PulledFile[]> {
  reporter.report({ type: 'phase', phase: 'outputs', status: 'begin', text: `Pulling outputs by ${plain.peer.method}` });
  const { pullPlainly } = await import('../sync/plain-pull.ts');
  const files = await pullPlainly({
    ...plain,
    paths,
    into,
    signal,
    onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'outputs', done, total, unit: 'bytes' }),
    onWarning: (text) => reporter.report({ type: 'note', level: 'warn', text }),
  });
  reporter.report({ type: 'phase', phase: 'outputs', status: 'end', text: `Pulled ${files.length} ${files.length === 1 ? 'file' : 'files'}` });
  return files;
}

/** `job`: whose outputs they are: those of jobs before it that lie there too are not told; null: nobody's, all are told. */
export async function pullInto(
  reached: ReachedMachine,
  paths: readonly string[],
  into: string,
  context: RunContext,
  job: JobEntry | null = null,
): Promise<readonly PulledFile[]> {
  const { reporter, signal } = context;
  using counted = countPulled(reached.machine, job?.id ?? null, context);
  reporter.report({ type: 'phase', phase: 'outputs', status: 'begin', text: 'Pulling outputs' });
  const files = await pullOutputs({
    open: (op, params) => reached.runner.open(op, params),
    paths,
    into,
    signal,
    ...toldOf(job, context),
    onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'outputs', done, total, unit: 'bytes' }),
    onReceived: counted.add,
    onWarning: (text) => reporter.report({ type: 'note', level: 'warn', text }),
  });
  // What the runner has written for jobs before this one comes along with the folder that it lies in.
  const own = job === null ? files : files.filter(({ path }) => !isMetricsFile(path) || path.includes(`gpu-run/${job.id}/`));
  const { length: count } = own;
  reporter.report({ type: 'phase', phase: 'outputs', status: 'end', text: `Pulled ${count} ${count === 1 ? 'file' : 'files'}` });
  return own;
}

/** The clocks of a file system tick in steps. */
const tickMs = 1_000;

/** On a machine where others were before. An attempt that goes on from another one's checkpoints has not written them, but its job has. */
function toldOf(job: JobEntry | null, { ledger }: Pick<RunContext, 'ledger'>): { readonly toldSince?: number } {
  if (job === null || job.startedAt === null || job.attempts > 1) return {};
  const isFirst = ledger.listJobs({ machineId: job.machineId }).every(({ id }) => id === job.id);
  return isFirst ? {} : { toldSince: (job.startedAt - tickMs) * 1000 };
}
