/**
 * The steps of a process at which it may be killed: before and after each request to a cloud, each write of the ledger, and each thing
 * that is said to a machine. "After" a request: it has been answered, and nothing was made of the answer yet.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { RemoteProcess, Transport } from '../../src/transport/transport.ts';

/** `before GET zones/-/instances/-`, `after ledger note ending`; ids are left out, so that two runs have the same steps. */
export type OnStep = (step: string) => void;

export function watchRequests(onStep: OnStep): void {
  const nameOf = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    return `${request.method} ${shapeOf(request.path)}`;
  };
  subscribe('http.client.request.created', (message) => onStep(`before ${nameOf(message)}`)); // nothing of it has been sent
  subscribe('http.client.response.finish', (message) => onStep(`after ${nameOf(message)}`)); // its head has come in
}

function shapeOf(path: string): string {
  const [plain = ''] = path.split('?');
  return plain.replace(/^.*\/projects\/[^/]+\//, '').replace(/(operations|instances|disks|firewalls)\/[^/]+/, '$1/-');
}

export function watchLedger(ledger: Ledger, onStep: OnStep): Ledger {
  const watched = <Args extends unknown[], Result>(name: (...args: Args) => string, write: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      const step = `ledger ${name(...args)}`;
      onStep(`before ${step}`);
      const result = write(...args);
      onStep(`after ${step}`);
      return result;
    };
  };
  return {
    ...ledger,
    open: watched((_) => 'open', ledger.open),
    note: watched((_, { fact }) => `note ${fact}`, ledger.note),
    claim: watched((_id, _holder) => 'claim', ledger.claim),
    release: watched((_id, _holder) => 'release', ledger.release),
    putJob: watched(({ state }) => `job ${state}`, ledger.putJob),
    changeJob: (id, change) => {
      const state = change(ledger.getJob(id))?.state;
      return state === undefined
        ? ledger.changeJob(id, change)
        : watched(
            () => `job ${state}`,
            () => ledger.changeJob(id, change),
          )();
    },
  };
}

export function watchTransport(transport: Transport, onStep: OnStep): Transport {
  return {
    ...transport,
    async connect(signal) {
      onStep('before ssh connect');
      await transport.connect(signal);
      onStep('after ssh connect');
    },
    exec(argv, options) {
      const name = `ssh exec ${(argv[0] ?? '').split('/').at(-1)}`;
      onStep(`before ${name}`);
      const remote = transport.exec(argv, options);
      onStep(`after ${name}`);
      watchStdin(remote, onStep);
      return remote;
    },
    async copyTo(content, remotePath, options) {
      onStep('before ssh copy');
      await transport.copyTo(content, remotePath, options);
      onStep('after ssh copy');
    },
  };
}

/** Each message to the runner is one write: `message arm`; those that are no call, and what is sent with one: `message`. */
function watchStdin({ stdin }: RemoteProcess, onStep: OnStep): void {
  const write = stdin.write.bind(stdin) as (...args: unknown[]) => boolean;
  stdin.write = (...args: unknown[]): boolean => {
    const [, op] = /"op":"([a-z-]+)"/i.exec(Buffer.from(args[0] as Uint8Array).toString('latin1', 0, 200)) ?? [];
    const step = op === undefined ? 'message' : `message ${op}`;
    onStep(`before ${step}`);
    const flowing = write(...args);
    onStep(`after ${step}`);
    return flowing;
  };
}
