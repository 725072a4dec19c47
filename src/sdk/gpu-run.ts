/**
 * The SDK's front door. May import compose, config and workflows; never prints, never reads `process.env` by itself:
 * what the command line takes from flags and environment is passed in here.
 */
import envPaths from 'env-paths';
import { type ContextOptions, openContext, openProviders } from '../compose.ts';
import { type FlagValues, loadSettings } from '../config/load.ts';
import { type Reporter, silentReporter } from '../core/reporter.ts';
import type { RunContext } from '../workflows/context.ts';
import { type DownResult, down } from '../workflows/down.ts';
import { upInput } from '../workflows/from-settings.ts';
import { type CostInput, type CostResult, reportCost } from '../workflows/report-cost.ts';
import type { JobReport } from '../workflows/report-figures.ts';
import { type StatusResult, status } from '../workflows/status.ts';
import { up } from '../workflows/up.ts';
import { createMachine, type Machine } from './machine.ts';

export interface GpuRunOptions {
  /** Where state is kept; default: the platform's data folder, as for the command line. */
  readonly home?: string;
  /** The project's folder: `gpu-run.yaml` is looked up from here. Default: the current folder. */
  readonly folder?: string;
  /** What jobs on `local` machines inherit, where secrets' values come from, and `GPU_RUN_*`. Default: nothing but PATH. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly reporter?: Reporter;
  readonly signal?: AbortSignal;
}

/** As the command line's flags; what is left out comes from `gpu-run.yaml`, the template and the defaults. */
export type UpOptions = Omit<FlagValues, 'env' | 'secret'>;

export interface GpuRun {
  /** A machine that is ready; `await using` takes it down at the end of the block. @throws GpuRunError as `gpu-run up` */
  up(options?: UpOptions): Promise<Machine>;
  status(options?: { readonly refresh?: boolean; readonly all?: boolean }): Promise<StatusResult>;
  /** No names: every live machine. */
  down(names?: readonly string[]): Promise<DownResult>;
  cost(input?: Partial<CostInput>): Promise<CostResult>;
  /** How well a job used its machine: of one that runs as far as it has come, also when the machine is gone. @throws GpuRunError as `gpu-run report` */
  report(jobId: string): Promise<JobReport>;
}

export function createGpuRun(options: GpuRunOptions = {}): GpuRun {
  const folder = options.folder ?? '.';
  const env = options.env ?? {};
  const home = options.home ?? defaultHome();
  const contextOptions: ContextOptions = {
    home,
    folder,
    env,
    reporter: options.reporter ?? silentReporter,
    signal: options.signal ?? new AbortController().signal,
  };
  /** Opened for each call: the SDK holds no file open between calls, and many may run at once. */
  let providers: ReturnType<typeof openProviders> | null = null;
  const withContext = async <T>(work: (context: RunContext) => Promise<T>): Promise<T> => {
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
      const settings = await loadSettings({ cwd: folder, flags, env });
      const { machine } = await withContext((context) => up(upInput(settings, false), context));
      return createMachine({ entry: machine, settings, env, withContext });
    },
    status: ({ refresh = false, all = false } = {}) => withContext((context) => status({ refresh, all }, context)),
    down: (names = []) => withContext((context) => down({ names, all: names.length === 0 }, context)),
    cost: ({ by = 'machine', since = null, ...more } = {}) => withContext(async (context) => reportCost({ ...more, by, since }, context)),
    report: async (jobId) => {
      const { report } = await import('../workflows/report.ts');
      return await withContext((context) => report(jobId, context));
    },
  };
}

/** With all defaults: the state folder of the command line, the current folder. */
export const gpuRun: GpuRun = createGpuRun();

function defaultHome(): string {
  return envPaths('gpu-run', { suffix: '' }).data;
}
