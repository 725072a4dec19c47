/** The GPU preflight from the laptop's side: waits, within limits, for a driver that is on its way, and judges what the runner found. */
import { GpuRunError } from '../core/errors.ts';
import type { GpuNeed } from '../core/offer.ts';
import { FrameError } from '../protocol/frame.ts';
import { type PreflightReport, parsePreflight } from '../protocol/preflight.ts';
import type { RunnerClient } from '../runner/client.ts';
import type { RunContext } from './context.ts';

export interface GpuLimits {
  /** For a driver that is being installed, milliseconds from the first look on. */
  readonly driverMs: number;
  /** For one look. The runner itself takes two minutes at most. */
  readonly lookMs: number;
}

export const gpuLimits: GpuLimits = { driverMs: 10 * 60_000, lookMs: 150_000 };

const lookAgainMs = 5_000;

export interface GpuCheckInput {
  readonly machineName: string;
  readonly gpu: GpuNeed;
  readonly runner: Pick<RunnerClient, 'call'>;
  /** When the first look was begun, milliseconds since the epoch: a machine may start anew while its driver is installed. */
  readonly since: number;
  readonly limits?: GpuLimits;
}

/** @throws GpuRunError `unfit` with `retry: 'elsewhere'` when the GPUs can't be used, and what the runner's call throws */
export async function checkGpus({ machineName, gpu, runner, since, limits = gpuLimits }: GpuCheckInput, context: RunContext): Promise<void> {
  const tell = (text: string) => context.reporter.report({ type: 'phase', phase: 'preflight', status: 'begin', text });
  tell('Checking the GPUs');
  for (;;) {
    const report = await look(runner, limits, context);
    const waited = context.clock.now() - since;
    if (report.driver === 'ready') return judge(machineName, gpu, report, context);
    const mayCome = report.driver === 'installing' || report.driver === 'starting';
    if (!mayCome) throw unfit(`'${machineName}' can't use its GPUs: ${report.problem ?? 'its driver does not work'}.`);
    const why = report.problem === null ? '' : `: ${report.problem}`;
    if (waited >= limits.driverMs) {
      throw unfit(`The NVIDIA driver of '${machineName}' was not ready after ${inMinutes(waited)}${why}.`);
    }
    tell(`${report.driver === 'installing' ? 'The NVIDIA driver is being installed' : 'The NVIDIA driver is starting'} (${inMinutes(waited)})`);
    await context.clock.sleep(lookAgainMs, context.signal);
  }
}

async function look(runner: Pick<RunnerClient, 'call'>, { lookMs }: GpuLimits, context: RunContext): Promise<PreflightReport> {
  const over = new AbortController();
  const late = context.clock.sleep(lookMs, AbortSignal.any([over.signal, context.signal])).then(() => {
    throw unfit(`The check of the GPUs did not end within ${inMinutes(lookMs)}.`);
  });
  late.catch(() => {}); // it may come second
  const call = runner.call('preflight', {});
  call.catch(() => {});
  try {
    return parsePreflight(await Promise.race([call, late]));
  } catch (error) {
    throw error instanceof FrameError ? new GpuRunError('protocol', `The runner does not make sense: ${error.message}.`, { cause: error }) : error;
  } finally {
    over.abort();
  }
}

function judge(machineName: string, gpu: GpuNeed, { gpus, note }: PreflightReport, context: RunContext): void {
  const bad = gpus.filter(({ problem }) => problem !== null);
  const good = gpus.length - bad.length;
  const problems = bad.map(({ index, name, problem }) => `GPU ${index} (${name}): ${problem}`).join('; ');
  if (good < gpu.count) {
    throw unfit(`${good} of ${gpu.count} GPUs can be used on '${machineName}'${problems === '' ? `: it has ${gpus.length}` : `: ${problems}`}.`);
  }
  const fitting = gpus.filter(({ name, problem }) => problem === null && isPlausible(name, gpu.name));
  if (fitting.length < gpu.count) {
    throw unfit(`'${machineName}' has other GPUs than the ${gpu.count} x ${gpu.name} that were asked for: ${gpus.map(({ name }) => name).join(', ')}.`);
  }
  if (problems !== '') context.reporter.report({ type: 'note', level: 'warn', text: `More GPUs than asked for are there, and not all work: ${problems}` });
  if (note !== null) context.reporter.report({ type: 'note', level: 'info', text: note });
  context.reporter.report({ type: 'phase', phase: 'preflight', status: 'end', text: describeGpus(gpus) });
}

function describeGpus(gpus: PreflightReport['gpus']): string {
  const [first] = gpus;
  const ran = gpus.every(({ kernel }) => kernel === 'ran');
  return `${gpus.length} x ${first?.name ?? 'GPU'}${ran ? ', a kernel ran on each' : ''}`;
}

/**
 * Whether a GPU that calls itself `NVIDIA A100-SXM4-80GB` can be what was asked for as `A100`. Names differ in many ways, so
 * only the model counts: the part with a digit that is no amount of memory. `L4` is no `L40S`.
 */
export function isPlausible(reported: string, asked: string): boolean {
  const models = wordsOf(asked).filter((word) => /\d/.test(word) && !/^\d+g(i?b)?$/.test(word));
  const has = wordsOf(reported);
  const joined = has.flatMap((_, from) => [2, 3].map((length) => has.slice(from, from + length).join('')));
  return models.every((model) => has.includes(model) || joined.includes(model));
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}

function inMinutes(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min`;
}

function unfit(message: string): GpuRunError {
  return new GpuRunError('unfit', message, { retry: 'elsewhere' });
}
