/**
 * The SDK's front door. May import compose, config and workflows; never prints. What the command line takes from flags and
 * environment is passed in here, but for the state folder: without one it is where the command line of this process looks.
 */
import { type ContextOptions, openContext, openProviders } from '../compose.ts';
import { type FlagValues, loadSettings } from '../config/load.ts';
import { homeFolder } from '../config/load-home.ts';
import { readMlflow } from '../config/mlflow.ts';
import { type Reporter, silentReporter } from '../core/reporter.ts';
import type { RunContext } from '../workflows/context.ts';
import { type DownResult, down } from '../workflows/down.ts';
import { upInput } from '../workflows/from-settings.ts';
import type { OnJobEvent } from '../workflows/job-event.ts';
import { type CostInput, type CostResult, reportCost } from '../workflows/report-cost.ts';
import type { JobReport } from '../workflows/report-figures.ts';
import { type StatusResult, status } from '../workflows/status.ts';
import { train } from '../workflows/train.ts';
import type { TrainInput, TrainResult } from '../workflows/train-input.ts';
import { up } from '../workflows/up.ts';
import { checkNames, checkOneOf, checkType, type Known } from './known-options.ts';
import { createMachine, type Machine } from './machine.ts';
import { inputFor, type TrainOptions, trainOptions } from './train-options.ts';

export interface GpuRunOptions {
  /**
   * Where state is kept. Default: where the command line keeps it, so that each sees the machines of the other: `GPU_RUN_HOME` of
   * `env`, else of this process, else the platform's data folder.
   */
  readonly home?: string;
  /** The project's folder: `gpu-run.yaml` is looked up from here. Default: the current folder. */
  readonly folder?: string;
  /** What jobs on `local` machines inherit, where secrets' values come from, and `GPU_RUN_*`. Default: nothing but PATH. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly reporter?: Reporter;
  readonly signal?: AbortSignal;
}

/** What `GpuRun.train` takes: of the machine as `up`, of the job, and what becomes of both. */
export interface WholeTrainOptions extends UpOptions, TrainOptions {
  /** `auto` (default): a machine that this rented goes down, one that was up before stays; `down`, `keep`: whatever it was. */
  readonly teardown?: TrainInput['teardown'];
  /** A failed job's machine stays. Default: false. */
  readonly keepOnFailure?: boolean;
  /**
   * The job's log, metrics and states as they come, over all attempts. Awaited for each: a slow one slows the stream down, not the job. What it
   * throws ends `train`, as the `cause` of a GpuRunError `internal`, and nothing else: the job and its machine go on, and cost, until somebody ends
   * them or their limits do; `hints` says how. So catch what may fail in it.
   */
  readonly onEvent?: OnJobEvent;
}

/** As the command line's flags; what is left out comes from `gpu-run.yaml`, the template and the defaults. */
export type UpOptions = Omit<FlagValues, 'env' | 'secret'>;

const upOptions: Known<UpOptions> = {
  ...{ name: true, config: true, provider: true, template: true, gpu: true, region: true, spot: true, publicIp: true, nodes: true },
  ...{ maxTime: true, budget: true, idle: true, stall: true, split: true },
};
const wholeTrainOptions: Known<WholeTrainOptions> = { ...trainOptions, ...upOptions, teardown: true, keepOnFailure: true, onEvent: true };

export interface GpuRun {
  /** A machine that is ready; `await using` takes it down at the end of the block. @throws GpuRunError as `gpu-run up` */
  up(options?: UpOptions): Promise<Machine>;
  /**
   * All that `gpu-run train` does, to the end: a machine (rented if none of that name is up), sync, the job, its outputs pulled, its cost,
   * the teardown; and all that again as `retry` in `gpu-run.yaml` says, where the machine is preempted or lost. A job that fails is a
   * result: `job.end` says how it ended. What may still bill stands in `leftovers`. Where `GpuRunOptions.signal` is aborted, the job is
   * cancelled and what it saved is pulled; with a `LeaveRunning` as the reason nothing is stopped.
   * @throws GpuRunError as `gpu-run train`: `bad-input` before anything is rented, `lost` or `preempted` where the machine went and the attempts are
   * used up (`preempted` is a result where the machine was told beforehand: `job.end.reason`), `interrupted`, `no-capacity`, ...
   */
  train(options?: WholeTrainOptions): Promise<TrainResult>;
  status(options?: { readonly refresh?: boolean; readonly all?: boolean }): Promise<StatusResult>;
  /** No names: every live machine. */
  down(names?: readonly string[]): Promise<DownResult>;
  cost(input?: Partial<CostInput>): Promise<CostResult>;
  /**
   * How well a job used its machine: of one that runs as far as it has come, also when the machine is gone. Without an id of the newest
   * job of the folder's machine. @throws GpuRunError as `gpu-run report`
   */
  report(jobId?: string): Promise<JobReport>;
}

export function createGpuRun(options: GpuRunOptions = {}): GpuRun {
  const folder = options.folder ?? '.';
  const env = options.env ?? {};
  const chosen: Omit<ContextOptions, 'home'> = {
    folder,
    env,
    reporter: options.reporter ?? silentReporter,
    signal: options.signal ?? new AbortController().signal,
  };
  let home: Promise<string> | null = null;
  let providers: ReturnType<typeof openProviders> | null = null;
  /** Opened for each call: the SDK holds no file open between calls, and many may run at once. */
  const withContext = async <T>(work: (context: RunContext) => Promise<T>): Promise<T> => {
    home ??= options.home === undefined ? homeFolder(env) : Promise.resolve(options.home);
    const contextOptions: ContextOptions = { ...chosen, home: await home };
    providers ??= openProviders(contextOptions);
    const { context, close } = openContext({ ...contextOptions, providers });
    try {
      return await work(context);
    } finally {
      close();
    }
  };
  return {
    up: async (flags = {}) => {
      checkNames('up', flags, upOptions);
      const settings = await loadSettings({ cwd: folder, flags, env });
      const { machine } = await withContext((context) => up(upInput(settings, false), context));
      return createMachine({ entry: machine, settings, folder, env, withContext });
    },
    train: async (asked = {}) => {
      const { command: _, env: __, startFrom: ___, teardown = 'auto', keepOnFailure = false, onEvent = () => {}, ...flags } = asked;
      checkNames('train', asked, wholeTrainOptions);
      checkOneOf('teardown', teardown, ['auto', 'down', 'keep']);
      checkType('keepOnFailure', keepOnFailure, 'boolean');
      checkType('onEvent', onEvent, 'function');
      const settings = await loadSettings({ cwd: folder, flags, env });
      const input = inputFor(asked, { settings, folder, env }, { detach: false, teardown, keepOnFailure });
      const mlflow = readMlflow(settings.mlflow, env);
      return await withContext((context) => train(input, { ...context, mlflow }, onEvent));
    },
    status: ({ refresh = false, all = false } = {}) => withContext((context) => status({ refresh, all }, context)),
    down: (names = []) => withContext((context) => down({ names, all: names.length === 0 }, context)),
    cost: ({ by = 'machine', since = null, ...more } = {}) => withContext(async (context) => reportCost({ ...more, by, since }, context)),
    report: async (jobId) => {
      const [{ findJob }, { report }] = await Promise.all([import('../workflows/find.ts'), import('../workflows/report.ts')]);
      const machineName = jobId === undefined ? (await loadSettings({ cwd: folder, flags: {}, env })).name : '';
      return await withContext((context) => report(findJob({ jobId: jobId ?? null, machineName, unfinished: false }, context).id, context));
    },
  };
}

/** With all defaults: the state folder of the command line, the current folder. */
export const gpuRun: GpuRun = createGpuRun();
