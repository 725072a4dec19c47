/**
 * The process behind a lab: an emulated Compute Engine with lab machines, in a network of its own without any way out. Orders come on
 * stdin, answers go to stdout, a line of JSON each; when stdin ends, all of it ends.
 */
import { createInterface } from 'node:readline';
import { startGceEmulator } from '../../emulators/gce/gce-emulator.ts';
import { makeLabMachines } from './machines.ts';

export interface LabState {
  readonly env: Readonly<Record<string, string>>;
  readonly instances: readonly { readonly name: string; readonly guestAttributes: Readonly<Record<string, string>>; readonly console: string }[];
  readonly disks: readonly string[];
  readonly namespaces: readonly string[];
  readonly strangers: readonly string[];
}

export type LabOrder = { readonly order: 'state' } | { readonly order: 'change-host-key'; readonly name: string };

const machines = await makeLabMachines();
const emulator = await startGceEmulator({ outside: machines });

async function obey(order: LabOrder): Promise<LabState> {
  if (order.order === 'change-host-key') await emulator.changeHostKey(order.name);
  const instances = emulator.instances().map(({ name, guestAttributes, console }) => ({ name, guestAttributes, console }));
  return { env: emulator.env, instances, disks: emulator.disks(), namespaces: machines.namespaces(), strangers: machines.strangers() };
}

const say = (state: LabState) => process.stdout.write(`${JSON.stringify(state)}\n`);
say(await obey({ order: 'state' }));
for await (const line of createInterface({ input: process.stdin })) say(await obey(JSON.parse(line) as LabOrder));
await emulator.close();
process.exit();
