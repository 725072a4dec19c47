/** A wire that carries so many bits a second from the server to us, in front of a real OpenSSH server on this computer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sshd } from '../test/support/sshd.ts';

export interface SlowWire {
  readonly port: number;
  /** An ssh_config in which the host `lab` is behind this wire. */
  readonly configFile: string;
  close(): void;
}

/** A process of its own: ours waits for commands that go through it. */
export async function startSlowWire(sshd: Sshd, megabits: number): Promise<SlowWire> {
  const program = join(import.meta.dirname, 'pass-slowly.js');
  const child = spawn(process.execPath, [program, String(sshd.port), String(megabits)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(said.toString());
  const config = readFileSync(sshd.configFile, 'utf8').replace(`Port ${sshd.port}`, `Port ${port}\nHostKeyAlias [127.0.0.1]:${sshd.port}`);
  const configFile = join(sshd.folder, 'slow_config');
  writeFileSync(configFile, config);
  return { port, configFile, close: () => child.kill() };
}
