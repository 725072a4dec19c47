/** An instance whose inside is not of this process: a machine with an address of its own, which somebody else boots. */
import type { Guest } from './guest.ts';
import { startMetadataServer } from './guest-metadata.ts';
import type { InstanceRecord, World } from './world.ts';

export interface OutsideMachine {
  /** Its SSH server shows another key from now on. */
  changeHostKey(): Promise<void>;
  /** Nothing of it is left then. Idempotent. */
  end(): Promise<void>;
}

export interface OutsidePlace {
  readonly name: string;
  readonly address: string;
  /** On 127.0.0.1: what this machine must find at 169.254.169.254. */
  readonly metadataPort: number;
  /** A line for its serial console. */
  print(line: string): void;
  /** It has switched itself off. */
  poweroff(): void;
}

/** Makes machines that answer SSH at port 22 of their own address, run the startup script and publish what that publishes. */
export interface OutsideMachines {
  /** An IPv4 address that no other machine has; called once for each order. */
  nextAddress(): string;
  /** Resolves when SSH answers. */
  boot(place: OutsidePlace): Promise<OutsideMachine>;
}

export async function bootOutside(world: World, instance: InstanceRecord, machines: OutsideMachines, poweroff: () => void): Promise<void> {
  const print = (line: string) => {
    instance.console += `${line}\r\n`;
  };
  const metadata = await startMetadataServer(world, instance);
  const booting = machines.boot({ name: instance.name, address: instance.address, metadataPort: metadata.port, print, poweroff });
  let ending: Promise<void> | null = null;
  const end = async () => {
    const machine = await booting.catch(() => null);
    await machine?.end();
    await metadata.close();
  };
  const guest: Guest = {
    sshPort: null,
    runShutdownScript: async () => {},
    changeHostKey: async () => await (await booting).changeHostKey(),
    end: () => (ending ??= end()),
  };
  instance.guest = guest;
  await booting;
  guest.sshPort = 22;
}
