/** A process that holds a connection to a runner and syncs over it when it is told to: what a sync costs that starts nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Scene } from './contender.ts';

export type Ask = 'connect' | 'push' | 'disconnect';

/** What the process is told at its start, as JSON. */
export interface StandingStart {
  readonly how: 'openssh' | 'ssh2';
  readonly configFile: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
  readonly identityFile: string;
  readonly machine: string;
  readonly source: string;
  readonly home: string;
}

export interface Standing {
  /** Resolves when it is done. @throws Error with what the process said */
  ask(what: Ask): Promise<void>;
  close(): Promise<void>;
}

export interface StandingOptions {
  readonly how: StandingStart['how'];
  readonly scene: Scene;
  readonly home: string;
  readonly machine: string;
}

export async function startStanding({ how, scene, home, machine }: StandingOptions): Promise<Standing> {
  const { network, source, signal } = scene;
  const { configFile, port, user, hostKey, identityFile } = network.sshd;
  const start: StandingStart = { how, configFile, address: network.address, port, user, hostKey, identityFile, machine, source, home };
  const program = join(import.meta.dirname, 'standing-process.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(start)], { signal, stdio: ['pipe', 'pipe', 'inherit'] });
  child.on('error', () => {}); // aborted: whoever asks is told
  child.stdin.on('error', () => {});
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await answers.next();
    if (done === true) throw new Error('the process with the connection has ended');
    if (value !== 'done') throw new Error(`in the process with the connection: ${value}`);
  };
  await answer();
  return {
    ask: async (what) => {
      child.stdin.write(`${what}\n`);
      await answer();
    },
    close: async () => {
      const ended = once(child, 'close');
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await ended;
    },
  };
}
