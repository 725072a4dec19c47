/** The runner as it is delivered: one bundled file, started with pipes instead of SSH. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { newJobId } from '../../src/core/run-id.ts';
import type { Calls } from '../../src/protocol/calls.ts';
import type { JobRecord, JobSpec, JobSummary } from '../../src/protocol/job.ts';
import { openRunner, type RunnerClient } from '../../src/runner/client.ts';
import type { InstalledRunner } from '../../src/runner/install.ts';
import type { ExitStatus, RemoteProcess, Transport } from '../../src/transport/transport.ts';

const entry = fileURLToPath(new URL('../../remote-runner/main.ts', import.meta.url));

/** Builds the runner into `<folder>/<version>/runner.mjs`, with the same settings as the package's build as far as they matter. */
export function buildRunner(folder: string, version = 'test-1'): string {
  const outfile = join(folder, version, 'runner.mjs');
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', target: 'node20', format: 'esm', outfile, logLevel: 'warning' });
  return outfile;
}

/** What `openRunner` and `followJob` need of a transport: programs on this computer, with pipes. */
export function pipeTransport(env: NodeJS.ProcessEnv = process.env): Transport {
  const exec: Transport['exec'] = (argv, options) => {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    options?.signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    const exit = new Promise<ExitStatus>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], signal }));
    });
    exit.catch(() => {});
    return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, exit, kill: (signal) => void child.kill(signal) } satisfies RemoteProcess;
  };
  const copyTo: Transport['copyTo'] = async (content, remotePath, { mode }) => {
    mkdirSync(dirname(remotePath), { recursive: true, mode: 0o700 });
    writeFileSync(remotePath, content instanceof Uint8Array ? content : await buffer(content), { mode });
  };
  const notHere = () => {
    throw new Error('a transport of pipes has only programs and copies');
  };
  return { exec, copyTo, connect: async () => {}, close: async () => {}, terminal: notHere, copyFrom: notHere, forward: notHere };
}

export interface TestMachine extends AsyncDisposable {
  readonly root: string;
  readonly workdir: string;
  readonly installed: InstalledRunner;
  /** A new connection; closed with the machine. */
  connect(): Promise<RunnerClient>;
  jobFile(id: string, name: string): string;
  /** pids of our runner processes of this kind. */
  pids(kind: 'serve' | 'watch' | 'connect'): number[];
}

export interface TestMachineOptions {
  /** Environment of the connection, and with it of the jobs. */
  readonly env?: NodeJS.ProcessEnv;
  readonly node?: string;
}

/** A machine's folder in a temp folder. Disposing it ends every process that belongs to it. */
export function createMachine(
  script: string,
  { env = process.env, node = process.env['TEST_RUNNER_NODE'] ?? process.execPath }: TestMachineOptions = {},
): TestMachine {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-run-machine-')));
  const workdir = join(root, 'workdir');
  mkdirSync(workdir);
  const installed: InstalledRunner = { argv: [node, script], root };
  const clients: RunnerClient[] = [];
  return {
    root,
    workdir,
    installed,
    async connect() {
      const client = await openRunner(pipeTransport(env), installed, { signal: new AbortController().signal });
      clients.push(client);
      return client;
    },
    jobFile: (id, name) => join(root, 'jobs', id, name),
    pids: (kind) => processesHolding(root).filter((pid) => argumentsOf(pid).includes(`${dirname(script)}/runner.mjs ${kind} `)),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      // The folder first: then nothing can be started again.
      rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      const end = () => {
        const left = processesHolding(root);
        for (const pid of left) kill(pid);
        return left.length === 0;
      };
      await until(end, 'the end of all processes of the test machine', 20_000, 50); // each look reads all of /proc
      rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
}

/** Live processes with `needle` in their arguments or environment, other than this one. */
export function processesHolding(needle: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    return (argumentsOf(pid).includes(needle) || environmentOf(pid).includes(needle)) && !isZombie(pid) ? [pid] : [];
  });
}

function argumentsOf(pid: number): string {
  return readProc(pid, 'cmdline').replaceAll('\0', ' ');
}

export function environmentOf(pid: number): string {
  return readProc(pid, 'environ');
}

function isZombie(pid: number): boolean {
  return /\) [ZX]/.test(readProc(pid, 'stat'));
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

/** Waits for something that other processes bring about. */
export async function until<T>(look: () => T | Promise<T>, what: string, withinMs = 20_000, pauseMs = 25): Promise<NonNullable<T>> {
  for (const end = Date.now() + withinMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, pauseMs))) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<T>;
  }
  throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
}

/** A job that runs `command` (an argument vector, or a line for the shell). */
export function specOf(command: readonly string[] | string, more: Partial<JobSpec> = {}): JobSpec {
  return {
    id: newJobId(Date.now()), // as unique as in life: a job's processes are found by it
    attempt: 1,
    command: typeof command === 'string' ? { kind: 'shell', text: command } : { kind: 'argv', argv: command },
    setup: null,
    env: {},
    secrets: {},
    outputs: [],
    metrics: {},
    graceMs: 2_000,
    resumeFrom: null,
    gpus: null,
    ...more,
  };
}

export interface Followed {
  readonly log: Buffer;
  readonly records: JobRecord[];
}

/** Everything that one `follow` call sends, to its end. */
export async function followToEnd(
  client: RunnerClient,
  id: string,
  from: { readonly logOffset?: number; readonly record?: number; readonly follow?: boolean } = {},
): Promise<Followed> {
  const { logOffset = 0, record = 0, follow = true } = from;
  const call = client.open('follow', { id, logOffset, record, follow });
  const pieces: Uint8Array[] = [];
  const records: JobRecord[] = [];
  let at = logOffset;
  for await (const part of call.parts()) {
    if (part.kind === 'event') {
      const event = part.value as Calls['follow']['event'];
      if (event.type === 'records') records.push(...event.records);
      continue;
    }
    if (part.block.offset !== at) throw new Error(`a block at ${part.block.offset}, expected at ${at}`);
    at += part.block.bytes.length;
    pieces.push(part.block.bytes);
  }
  await call.result;
  return { log: Buffer.concat(pieces), records };
}

/** Submits, follows to the end, and says how it stands then. */
export async function runJob(client: RunnerClient, spec: JobSpec): Promise<Followed & { readonly summary: JobSummary }> {
  await client.call('submit', { spec });
  const followed = await followToEnd(client, spec.id);
  return { ...followed, summary: await summaryOf(client, spec.id) };
}

export async function summaryOf(client: RunnerClient, id: string): Promise<JobSummary> {
  const { jobs } = await client.call('jobs', {});
  const job = jobs.find((each) => each.id === id);
  if (job === undefined) throw new Error(`no job ${id}`);
  return job;
}

export function statesOf(records: readonly JobRecord[]): string[] {
  return records.flatMap((record) => (record.type === 'state' ? [record.state] : []));
}
