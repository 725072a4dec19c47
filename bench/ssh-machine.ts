/** A machine behind a real OpenSSH server on this computer, and three ways to follow a job's log there. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startSshd } from '../test/support/sshd.ts';
import { startSlowWire } from './slow-wire.ts';

const launcher = join(import.meta.dirname, '..', 'bin', 'run.js');

export interface Follower {
  readonly name: string;
  /** Prints the job's log, and goes on with what comes. */
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Followers {
  readonly tail: Follower;
  /** AES-GCM, which OpenSSH takes only when it is told to. */
  readonly tailByOurCipher: Follower;
  readonly ours: Follower;
  /** Over the SSH of machines that gpu-run makes. */
  readonly oursBySsh2: Follower;
}

export interface SshMachine extends AsyncDisposable {
  /** Starts a job and returns its id once it runs. */
  start(...command: string[]): string;
  cancel(job: string): void;
  waitForEnd(job: string): void;
  logOf(job: string): string;
  followers(job: string): Followers;
  /** Forgets the copy of the log on this computer. */
  forgetCopy(job: string): void;
  /** pids of the runner's processes there. */
  pids(kind: 'serve' | 'watch' | 'connect'): number[];
}

/**
 * Its Node is the one that runs the bench, as gpu-run brings one along where there is none; unless BENCH_NODE names the folder of another.
 * `megabits`: what the network to it carries a second; absent: what this computer can.
 */
export async function startSshMachine(megabits?: number): Promise<SshMachine> {
  const node = process.env['BENCH_NODE'] ?? dirname(process.execPath);
  const sshd = await startSshd({ config: [`SetEnv PATH=${node}:/usr/local/bin:/usr/bin:/bin`] });
  const wire = megabits === undefined ? null : await startSlowWire(sshd, megabits);
  const { port, configFile } = wire ?? sshd;
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-bench-'));
  const home = join(root, 'home');
  const project = join(root, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'gpu-run.yaml'), `name: bench\nprovider: ssh\nssh: { host: lab, config-file: ${configFile} }\n`);
  const start = { cwd: project, env: { ...process.env, GPU_RUN_HOME: home, GPU_RUN_LINK: '0', NO_COLOR: '1' } };
  const run = (...words: string[]) => execFileSync(process.execPath, [launcher, ...words], { ...start, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const machines = join(homedir(), '.gpu-run', 'machines');
  const dispose = async () => {
    spawnSync(process.execPath, [launcher, 'down', '--all', '--yes', '--quiet'], { ...start, stdio: ['ignore', 'ignore', 'inherit'] });
    wire?.close();
    await sshd.close();
    rmSync(root, { recursive: true, force: true });
  };
  const before = readdirIfThere(machines);
  try {
    run('up', '--quiet');
  } catch (error) {
    await dispose();
    throw error;
  }
  const machine = readdirIfThere(machines).find((name) => !before.includes(name)) ?? '';
  const logOf = (job: string) => join(machines, machine, 'jobs', job, 'log');
  return {
    start: (...command) => {
      const words = run('train', '--detach', '--json', '--', ...command)
        .trimEnd()
        .split('\n');
      return (JSON.parse(words.at(-1) ?? '') as { job: { id: string } }).job.id;
    },
    cancel: (job) => void run('cancel', job),
    waitForEnd: (job) => void spawnSync(process.execPath, [launcher, 'logs', job, '--after', '-1', '--follow'], { ...start, stdio: 'ignore' }),
    logOf,
    followers: (job) => ({
      tail: { name: 'ssh host tail -c +1 -F', argv: ['ssh', '-F', configFile, 'lab', `tail -c +1 -F ${logOf(job)}`], ...start },
      tailByOurCipher: {
        name: "the same with gpu-run's order of ciphers",
        argv: ['ssh', '-F', configFile, '-c', 'aes128-gcm@openssh.com', 'lab', `tail -c +1 -F ${logOf(job)}`],
        ...start,
      },
      ours: { name: 'gpu-run logs --follow, own host (OpenSSH)', argv: [process.execPath, launcher, 'logs', job, '--follow'], ...start },
      oursBySsh2: {
        name: "gpu-run's follower over ssh2, as on a cloud's machine",
        argv: [
          process.execPath,
          join(import.meta.dirname, 'follow-by-ssh2.js'),
          JSON.stringify({ port, user: sshd.user, hostKey: sshd.hostKey, identityFile: sshd.identityFile, machine, job, scratch: root }),
        ],
        ...start,
      },
    }),
    forgetCopy: (job) => rmSync(join(home, 'jobs', job), { recursive: true, force: true }),
    pids: (kind) => runnerProcesses(kind, join(machines, machine)),
    [Symbol.asyncDispose]: dispose,
  };
}

function readdirIfThere(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function runnerProcesses(kind: string, root: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const at = words.findIndex((word) => word.endsWith('/runner.mjs')); // behind Node's own options
      return at > 0 && words[at + 1] === kind && words[at + 3] === root ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** Starts it; `onData` gets what it prints. Returns what ends it. */
export function follow({ argv, cwd, env }: Follower, onData: (bytes: Buffer) => void): () => Promise<void> {
  const [program, ...words] = argv;
  const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.on('data', onData);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return async () => {
    child.kill('SIGKILL');
    await ended;
  };
}
