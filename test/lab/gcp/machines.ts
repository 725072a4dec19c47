/** Instances of the emulated Compute Engine as machines of their own: namespaces, an address, an OpenSSH server at port 22. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { OutsideMachine, OutsideMachines, OutsidePlace } from '../../emulators/gce/outside-guest.ts';

const execute = promisify(execFile);
const ip = async (...words: string[]) => void (await execute('ip', words));
const guestScript = fileURLToPath(new URL('guest.sh', import.meta.url));
const repository = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

const bridge = 'lab0';
/** For documentation (RFC 5737): nobody's, and unlike addresses at home it counts as a public one. */
const network = '203.0.113';
const metadataAddress = '169.254.169.254';

export interface LabMachines extends OutsideMachines {
  /** Network namespaces of all machines so far, as `/proc/PID/ns/net` names them. */
  namespaces(): readonly string[];
  /** Addresses without a machine that have asked the metadata server. */
  strangers(): readonly string[];
}

/** To be called in a network namespace that is empty but for a loopback device; all that is made goes with it. */
export async function makeLabMachines(): Promise<LabMachines> {
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0');
  await ip('addr', 'add', `${network}.1/24`, 'dev', bridge);
  await ip('addr', 'add', `${metadataAddress}/32`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  const metadataPorts = new Map<string, number>();
  const strangers: string[] = [];
  await serveMetadata(metadataPorts, strangers);
  const namespaces: string[] = [];
  let last = 1;
  return {
    nextAddress: () => `${network}.${++last}`,
    boot: async (place) => {
      metadataPorts.set(place.address, place.metadataPort);
      return await boot(place, (namespace) => namespaces.push(namespace));
    },
    namespaces: () => namespaces,
    strangers: () => strangers,
  };
}

/** One server for all, which tells machines apart by their addresses. */
async function serveMetadata(ports: ReadonlyMap<string, number>, strangers: string[]): Promise<Server> {
  const server = createServer((guest) => {
    const address = guest.remoteAddress ?? '';
    const port = ports.get(address);
    if (port === undefined) {
      strangers.push(address);
      return void guest.destroy();
    }
    join(guest, connect(port, '127.0.0.1'));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(80, metadataAddress, resolve);
  });
  return server;
}

function join(one: Socket, other: Socket): void {
  one.on('error', () => other.destroy()).pipe(other);
  other.on('error', () => one.destroy()).pipe(one);
}

async function boot(place: OutsidePlace, hasNamespace: (name: string) => void): Promise<OutsideMachine> {
  const { name, address, print, poweroff } = place;
  const words = ['--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child=KILL', '/bin/bash', guestScript, name, address, '24', repository];
  const child = spawn('unshare', words, { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  void exited.then(() => ended || poweroff());
  const said = listen(child, print);
  const next = async (word: string) => {
    const heard = await Promise.race([said(word), exited.then(() => null)]);
    if (heard === null) throw new Error(`The lab machine ${name} has ended before it was ${word}`);
  };
  child.stdin?.on('error', () => {}); // it has ended: `exited` says so
  await next('born');
  hasNamespace(readlinkSync(`/proc/${child.pid}/ns/net`));
  const card = `m${address.split('.').at(-1)}`;
  await ip('link', 'add', card, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(child.pid));
  await ip('link', 'set', card, 'master', bridge, 'up');
  child.stdin?.write('go\n');
  await next('booted');
  return {
    changeHostKey: async () => {
      child.stdin?.write('rekey\n');
      await next('rekeyed');
    },
    end: async () => {
      ended = true;
      // The cable first: whoever is connected hears nothing more, as when a machine is deleted.
      await ip('link', 'del', card).catch(() => {}); // gone with its other end
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Prints what the machine says; the function that comes back waits for `lab: WORD`. */
function listen({ stdout, stderr }: ChildProcess, print: (line: string) => void): (word: string) => Promise<string> {
  const heard: string[] = [];
  const waiting = new Set<() => void>();
  for (const input of [stdout, stderr]) {
    if (input === null) continue;
    createInterface({ input }).on('line', (line) => {
      if (!line.startsWith('lab: ')) return print(line);
      heard.push(line.slice('lab: '.length));
      for (const look of [...waiting]) look();
    });
  }
  return (word) =>
    new Promise((resolve) => {
      const look = () => {
        const at = heard.indexOf(word);
        if (at < 0) return;
        heard.splice(at, 1);
        waiting.delete(look);
        resolve(word);
      };
      waiting.add(look);
      look();
    });
}
