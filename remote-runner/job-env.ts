/** What a job finds in its environment, and how its command becomes a program to run. */
import { accessSync, constants, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { checkpointFolder } from '../src/protocol/checkpoint-folder.ts';
import type { JobCommand } from '../src/protocol/job.ts';
import { lookAtCheckpoints } from './checkpoint-tree.ts';
import { visibilityOf } from './grant.ts';
import type { JobOrder } from './job-files.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';

/** The variable by which every process of a job can be found again, wherever it went: its id on this machine. */
export const cookieName = 'GPU_RUN_JOB_HERE';
/** What the job is called. Another attempt of it on the same machine is called the same. */
export const jobName = 'GPU_RUN_JOB';

export type Env = Readonly<Record<string, string>>;

/** `base`: the runner's own. */
export async function jobEnv(machine: MachineFolder, job: JobFolder, order: JobOrder, secrets: Env, base: NodeJS.ProcessEnv): Promise<Env> {
  const inherited = Object.fromEntries(Object.entries(base).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const path = order.env['PATH'] ?? inherited['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  return {
    ...inherited,
    PYTHONUNBUFFERED: '1',
    GPU_RUN_ATTEMPT: String(order.attempt),
    GPU_RUN_RESUME_FROM: resumeFolder(machine, order),
    GPU_RUN_CHECKPOINT_DIR: checkpointsOf(machine, order),
    GPU_RUN_PREEMPT_FILE: job.preempt,
    GPU_RUN_METRICS_FILE: job.metrics,
    GPU_RUN_RANK: '0',
    GPU_RUN_NODES: '1',
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(await freePort()),
    ...visibilityOf(job),
    ...order.env,
    ...secrets,
    // Ours comes last: so that `node` is there on machines that have only that.
    PATH: [path, dirname(process.execPath)].join(delimiter),
    [jobName]: order.name ?? job.id,
    [cookieName]: job.id,
  };
}

/** Absolute. */
export function checkpointsOf(machine: MachineFolder, { checkpoints, outputs }: Pick<JobOrder, 'checkpoints' | 'outputs'>): string {
  return join(machine.workdir, checkpoints ?? checkpointFolder(outputs));
}

/** Absolute; empty where there is nothing to resume from. */
function resumeFolder(machine: MachineFolder, { resumeFrom }: JobOrder): string {
  const folder = resumeFrom === null ? null : join(machine.workdir, resumeFrom);
  if (folder === null || !exists(folder)) return '';
  // Not gpu-run's own metrics, nor what was being written when the attempt before was cut short. null: more than can be looked at.
  return isFolder(folder) && lookAtCheckpoints(folder)?.size === 0 ? '' : folder;
}

/** A port that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export type Program =
  | { readonly argv: readonly string[] }
  /** Why it can't be started, with the exit code that a shell would give. */
  | { readonly code: 126 | 127; readonly problem: string };

/** An argument vector runs exactly as it is; a line of text is run by bash where there is one, else sh. */
export function programOf(command: JobCommand, env: Env, cwd: string): Program {
  if (command.kind === 'shell') return { argv: shellArgv(command.text, env, cwd) };
  const [name = ''] = command.argv;
  if (name === '' || name.startsWith('-')) return { code: 127, problem: `'${name}' is not the name of a program` };
  const files = name.includes('/') ? [isAbsolute(name) ? name : join(cwd, name)] : searchPath(name, env, cwd);
  if (files.some(isExecutable)) return { argv: command.argv };
  const there = files.find(exists);
  if (there !== undefined) return { code: 126, problem: `${name}: ${isFolder(there) ? 'is a folder' : 'permission denied (not executable)'}` };
  return { code: 127, problem: `${name}: ${name.includes('/') ? 'no such file' : 'command not found'}` };
}

export function shellArgv(text: string, env: Env, cwd: string): readonly string[] {
  const bash = searchPath('bash', env, cwd).find(isExecutable);
  return [bash ?? '/bin/sh', '-c', text];
}

function searchPath(name: string, env: Env, cwd: string): string[] {
  return (env['PATH'] ?? '').split(delimiter).map((folder) => (isAbsolute(folder) ? join(folder, name) : join(cwd, folder, name)));
}

function exists(file: string): boolean {
  try {
    statSync(file);
    return true;
  } catch {
    return false;
  }
}

function isFolder(file: string): boolean {
  return statSync(file).isDirectory();
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
