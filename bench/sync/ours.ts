/** gpu-run, in the forms that people use it in: a command for itself, a command over the warm connection, a connection that stays. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, type Form, runProgram, type Scene } from './contender.ts';
import { type Standing, startStanding } from './standing.ts';

const repository = join(import.meta.dirname, '..', '..');
export const launcher = join(repository, 'bin', 'run.js');

export type OursName = 'cold' | 'warm' | 'live' | 'ssh2' | 'watch';

/** What this gpu-run can do: `warm` wants the process that keeps a connection between commands, `watch` wants `sync --watch`. */
export function isKnown(name: OursName): boolean {
  const file = { warm: 'link/serve-link.ts', watch: 'workflows/watch-sync.ts' }[name as string];
  return file === undefined || existsSync(join(repository, 'src', file));
}

/** A machine of gpu-run's at the other end, with a state folder of its own here. */
export interface Machine {
  readonly home: string;
  /** Where gpu-run.yaml is. */
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  gpuRun(...words: string[]): Promise<string>;
  /** As its folder there is called; made by `up`. */
  id(): string;
  workdir(): string;
  up(): Promise<void>;
  /** Nothing of it is left, here or there. */
  down(): Promise<void>;
}

export function createMachine(name: OursName, { network, source, room, signal }: Scene): Machine {
  const home = join(room, name, 'home');
  const project = join(room, name, 'project');
  mkdirSync(project, { recursive: true });
  writeFileSync(
    join(project, 'gpu-run.yaml'),
    `name: ${name}\nprovider: ssh\nssh: { host: lab, config-file: ${network.sshd.configFile} }\nsync: { code: ${source} }\n`,
  );
  const machines = join(network.farHome, '.gpu-run', 'machines');
  const list = () => (existsSync(machines) ? readdirSync(machines) : []);
  const env = { GPU_RUN_HOME: home, GPU_RUN_LINK: name === 'warm' ? '1' : '0', NO_COLOR: '1', METADATA_SERVER_DETECTION: 'none', CI: '' };
  const gpuRun = (...words: string[]) => runProgram([process.execPath, launcher, ...words], { signal, env, cwd: project });
  let id = '';
  return {
    home,
    project,
    env,
    gpuRun,
    id: () => id,
    workdir: () => join(machines, id, 'workdir'),
    up: async () => {
      const before = list();
      await gpuRun('up', '--quiet');
      id = list().find((each) => !before.includes(each)) ?? '';
    },
    down: async () => {
      if (id !== '') await gpuRun('down', '--all', '--yes', '--quiet');
      id = '';
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The link that `up` has started, and the runner that waits in it. */
async function linked(home: string): Promise<void> {
  const folder = join(home, 'link');
  for (let look = 0; !existsSync(folder) || readdirSync(folder).length === 0; look += 1) {
    if (look === 300) throw new Error('up has started no link');
    await sleep(100);
  }
  await sleep(1500);
}

type Plain = Exclude<OursName, 'watch'>;

const titles: Readonly<Record<Plain, { readonly title: string; readonly form: Form | null; readonly connects: boolean }>> = {
  cold: { title: 'gpu-run sync', form: 'cold', connects: true },
  warm: { title: 'gpu-run sync, warm connection', form: 'warm', connects: false },
  live: { title: 'gpu-run, open connection in a process that runs', form: 'live', connects: false },
  ssh2: { title: 'gpu-run over ssh2, new connection in a process that runs', form: null, connects: true },
};

/** To be closed at the end. */
export interface Ours extends Contender {
  close(): Promise<void>;
}

export function createOurs(name: Plain, scene: Scene): Ours {
  const machine = createMachine(name, scene);
  const { signal } = scene;
  let standing: Standing | null = null;
  const closeSession = async () => {
    await standing?.close();
    standing = null;
  };
  const runs: Record<Plain, () => Promise<void>> = {
    cold: async () => void (await machine.gpuRun('sync', '--quiet')),
    warm: async () => void (await machine.gpuRun('sync', '--quiet')),
    live: async () => void (await standing?.ask('push')),
    ssh2: async () => {
      for (const what of ['connect', 'push', 'disconnect'] as const) await standing?.ask(what);
    },
  };
  const clear = async () => {
    await closeSession();
    await machine.down();
  };
  return {
    name: titles[name].title,
    kind: 'ours',
    form: titles[name].form,
    connects: titles[name].connects,
    clear,
    prepare: async () => {
      await machine.up();
      if (name === 'warm') await linked(machine.home);
      if (name === 'cold' || name === 'warm') return;
      standing = await startStanding({ how: name === 'live' ? 'openssh' : 'ssh2', scene, home: machine.home, machine: machine.id() });
      if (name === 'live') await standing.ask('connect');
    },
    run: runs[name],
    place: machine.workdir,
    close: async () => {
      if (!signal.aborted) return await clear();
      await closeSession();
    },
  };
}
