/** A connection that a test breaks by hand; its commands are pipes of this computer. */
import { spawn } from 'node:child_process';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { Connector } from '../../../src/transport/connector.ts';
import type { ExitStatus } from '../../../src/transport/transport.ts';

export interface FakeConnector extends Connector {
  break(): void;
  readonly started: string[][];
  readonly isClosed: boolean;
}

export function fakeConnector(): FakeConnector {
  let alive = true;
  let closed = false;
  const started: string[][] = [];
  const notHere = () => Promise.reject(new GpuRunError('internal', 'not here'));
  return {
    started,
    get isClosed() {
      return closed;
    },
    break: () => {
      alive = false;
    },
    connect: async () => {
      if (!alive) throw new GpuRunError('connection', 'It is gone.', { hints: ['Look for it.'], retry: 'same' });
    },
    alive: () => alive,
    start: async (argv) => {
      started.push([...argv]);
      const [program = '', ...words] = argv;
      const child = spawn(program, words, { stdio: 'pipe' });
      const exit = new Promise<ExitStatus>((resolve) => child.once('close', (code, signal) => resolve({ code: code ?? 143, signal })));
      return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, exit, kill: (signal) => void child.kill(signal) };
    },
    terminal: notHere,
    dial: notHere,
    close: async () => {
      closed = true;
      alive = false;
    },
  };
}
