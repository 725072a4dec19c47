/** `gpu-run sync --watch`: from the moment in which a file is written until its line says that the machine has it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Scene } from './contender.ts';
import { createMachine, launcher, type Ours } from './ours.ts';
import type { Edit } from './workloads.ts';

/** `make` and `edit`: as of the workload; its folder is its own, since it acts as soon as anything changes there. */
export function createWatch(scene: Scene, make: (folder: string) => void, edit: Edit): Ours {
  const source = join(scene.room, 'watched-tree');
  const machine = createMachine('watch', { ...scene, source });
  let child: ChildProcess | null = null;
  let lines: AsyncIterator<string> = (async function* () {})();
  let change: (() => void) | null = null;
  let said = '';
  const stop = async () => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'close');
    child.kill('SIGINT');
    await ended;
  };
  const clear = async () => {
    await stop();
    await machine.down();
    await rm(source, { recursive: true, force: true });
  };
  const nextPush = async () => {
    const { value, done } = await lines.next();
    if (done === true || (JSON.parse(value) as { type?: string }).type !== 'sync') throw new Error(`sync --watch says ${value ?? 'nothing more'}; ${said}`);
  };
  return {
    name: 'gpu-run sync --watch',
    kind: 'ours',
    form: 'live',
    connects: false,
    clear,
    prepare: async () => {
      mkdirSync(source);
      make(source);
      await machine.up();
      const env = { ...process.env, ...machine.env };
      const started = spawn(process.execPath, [launcher, 'sync', '--watch', '--json'], { cwd: machine.project, env, stdio: ['ignore', 'pipe', 'pipe'] });
      started.stderr.on('data', (bytes: Buffer) => {
        said = `${said}${bytes}`.slice(-2000);
      });
      started.on('error', () => {}); // its lines end
      lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
      child = started;
    },
    ready: async (round) => {
      change = round === 0 ? null : edit(source, round);
    },
    run: async () => {
      change?.();
      await nextPush();
    },
    place: machine.workdir,
    ownSource: source,
    close: () => (scene.signal.aborted ? stop() : clear()),
  };
}
