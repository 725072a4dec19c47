/** The inside of an instance: a real SSH server, a home folder, the startup script, and what the guest agent does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';
import { newHostKey } from '../../../src/providers/local/host-key.ts';
import { endProcesses, machineVariable } from '../../../src/providers/local/process-tree.ts';
import { type SshServer, startSshServer } from '../../../src/providers/local/ssh-server.ts';
import { installCommands, watchForPoweroff } from './guest-commands.ts';
import { installDriver } from './guest-driver.ts';
import { type MetadataServer, startMetadataServer } from './guest-metadata.ts';
import { bootOutside } from './outside-guest.ts';
import { keysFor, usersOf } from './ssh-keys.ts';
import { effectiveValue, type InstanceRecord, takesGuestAttributes, type World } from './world.ts';

export interface Guest {
  /** null: not yet, or never. */
  sshPort: number | null;
  runShutdownScript(): Promise<void>;
  /** The SSH server shows another key from now on, at the same port, and `published`: the guest attributes name that one too. */
  changeHostKey(published: boolean): Promise<void>;
  /** Ends everything that runs in it, and removes its folder. Idempotent. */
  end(): Promise<void>;
}

interface Parts {
  readonly folder: string;
  readonly mark: string;
  ended: boolean;
  server: SshServer | null;
  metadata: MetadataServer | null;
  readonly cancel: (() => void)[];
  env: Readonly<Record<string, string>>;
}

const plainPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const shutdownScriptMs = 2_000;

/** In the order of a real boot: kernel, sshd, guest agent with keys, startup script. */
export async function bootGuest(world: World, instance: InstanceRecord, onPoweroff: () => void): Promise<void> {
  const { outside } = world.options;
  if (outside !== null) return await bootOutside(world, instance, outside, onPoweroff);
  const parts: Parts = {
    folder: join(world.folder, instance.id),
    mark: `${world.mark}-${instance.id}`,
    ended: false,
    server: null,
    metadata: null,
    cancel: [],
    env: {},
  };
  let ending: Promise<void> | null = null;
  const { promise: booted, resolve: hasBooted } = Promise.withResolvers<void>();
  const guest: Guest = {
    sshPort: null,
    runShutdownScript: () => runScript(world, instance, parts, 'shutdown-script', shutdownScriptMs),
    changeHostKey: async (published) => {
      const { port = 0 } = parts.server ?? {};
      await parts.server?.close();
      const { privateKey, publicKey } = newHostKey();
      parts.server = await startSsh(world, instance, parts, privateKey, port);
      if (published) publish(world, instance, port, publicKey);
    },
    end: () => {
      parts.ended = true;
      return (ending ??= booted.then(() => endAll(world, parts)));
    },
  };
  instance.guest = guest;
  printKernel(instance);
  if (instance.trouble.neverSsh === true) {
    print(instance, '[    4.811020] systemd[1]: Failed to start ssh.service - OpenBSD Secure Shell server.');
    hasBooted();
    return;
  }
  try {
    await bootServices(world, instance, parts, guest, onPoweroff);
  } finally {
    hasBooted();
  }
}

async function bootServices(world: World, instance: InstanceRecord, parts: Parts, guest: Guest, onPoweroff: () => void): Promise<void> {
  const home = join(parts.folder, 'home');
  const bin = join(parts.folder, 'bin');
  const sshFolder = join(parts.folder, 'etc', 'ssh');
  for (const folder of [home, bin, sshFolder, join(parts.folder, 'tmp')]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const hostKey = newHostKey();
  const shownKey = instance.trouble.wrongHostKeys === true ? newHostKey().publicKey : hostKey.publicKey;
  writeFileSync(join(sshFolder, 'ssh_host_ed25519_key.pub'), `${shownKey} root@${instance.name}\n`);
  installCommands(bin, parts.folder);
  parts.cancel.push(watchForPoweroff(parts.folder, onPoweroff));
  const driver = installDriver(world, instance, parts.folder, instance.gpus === null ? null : await world.cuda());
  parts.cancel.push(driver.cancel);
  parts.metadata = await startMetadataServer(world, instance);
  const gpus = instance.gpus;
  const prepared = world.options.prepareGuest?.({ name: instance.name, bin, home, gpus }) ?? {};
  parts.env = {
    PATH: `${bin}:${dirname(process.execPath)}:${plainPath}`,
    TMPDIR: join(parts.folder, 'tmp'),
    LANG: 'C.UTF-8',
    GCE_METADATA_HOST: `127.0.0.1:${parts.metadata.port}`,
    GPU_RUN_SSH_DIR: sshFolder,
    ...driver.env,
    ...prepared,
    [machineVariable]: parts.mark,
  };
  parts.server = await startSsh(world, instance, parts, hostKey.privateKey, 0);
  if (parts.ended) return;
  guest.sshPort = parts.server.port;
  writeFileSync(join(sshFolder, 'sshd_config'), `Port ${parts.server.port}\n`);
  print(instance, '[    5.102311] systemd[1]: Started ssh.service - OpenBSD Secure Shell server.');
  publish(world, instance, parts.server.port, shownKey);
  print(instance, `${instance.name} google_guest_agent[612]: GCE Agent Started`);
  if (driver.installer !== null) spawn('/bin/sh', [driver.installer], { env: parts.env, detached: true, stdio: 'ignore' }).unref();
  void runScript(world, instance, parts, 'startup-script', null);
}

/** `port`: 0 for any that is free. */
async function startSsh(world: World, instance: InstanceRecord, { folder, env }: Parts, hostPrivateKey: string, port: number): Promise<SshServer> {
  return await startSshServer({
    host: '127.0.0.1',
    port,
    hostPrivateKey,
    authorizedKey: (user) => keysFor(world, instance, user),
    user: usersOf(world, instance)[0] ?? 'nobody',
    home: join(folder, 'home'),
    shell: existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh',
    env,
  });
}

/** As Google's guest agent does; the port is the emulator's own word, as all its machines share one address. */
function publish(world: World, instance: InstanceRecord, port: number, publicKey: string): void {
  if (!takesGuestAttributes(world, instance)) return;
  instance.guestAttributes.set('gpu-run/ssh-port', String(port));
  if (instance.trouble.noAgent === true || instance.trouble.noHostKeys === true) return;
  const [type = '', blob = ''] = publicKey.split(' ');
  instance.guestAttributes.set(`hostkeys/${type}`, blob);
}

/** `limitMs`: null for as long as it takes. */
async function runScript(
  world: World,
  instance: InstanceRecord,
  parts: Parts,
  key: 'startup-script' | 'shutdown-script',
  limitMs: number | null,
): Promise<void> {
  const script = effectiveValue(world, instance, key);
  if (script === null || parts.ended || parts.env['PATH'] === undefined) return;
  const file = join(parts.folder, key);
  writeFileSync(file, script, { mode: 0o700 });
  const say = (text: string) => print(instance, `${instance.name} google_metadata_script_runner[701]: ${text}`);
  say(`Found ${key} in metadata.`);
  const home = join(parts.folder, 'home');
  const child: ChildProcess = script.startsWith('#!')
    ? spawn(file, [], { cwd: home, env: { ...parts.env, HOME: home, USER: 'root' }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    : spawn('/bin/sh', [file], { cwd: home, env: { ...parts.env, HOME: home, USER: 'root' }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) if (line !== '') say(`${key}: ${line}`);
    });
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once('error', (error) => {
    say(`${key}: ${error.message}`);
    resolve();
  });
  child.once('close', (code, signal) => {
    say(`${key} exit status ${code ?? signal}`);
    resolve();
  });
  if (limitMs === null) return await promise;
  const timer = setTimeout(resolve, limitMs);
  await promise;
  clearTimeout(timer);
}

/** As a machine that shuts down: first what runs is told and has its grace, then nobody gets in any more, then nothing is left. */
async function endAll(world: World, parts: Parts): Promise<void> {
  for (const cancel of parts.cancel) cancel();
  const endAllProcesses = async (graceMs: number) => {
    if (parts.env['PATH'] !== undefined) await endProcesses(parts.mark, { clock: systemClock, graceMs });
  };
  await endAllProcesses(world.options.shutdownGraceMs);
  const wasReached = (parts.server?.connections() ?? 0) > 0;
  await parts.server?.close();
  if (wasReached) await endAllProcesses(0);
  await parts.metadata?.close();
  rmSync(parts.folder, { recursive: true, force: true, maxRetries: 3 });
}

function print(instance: InstanceRecord, line: string): void {
  instance.console += `${line}\r\n`;
}

function printKernel(instance: InstanceRecord): void {
  for (const line of [
    'SeaBIOS (version 1.8.2-google)',
    '[    0.000000] Linux version 6.8.0-1021-gcp (buildd@lcy02-amd64-050) (gcc 13.2.0) #23-Ubuntu SMP',
    '[    0.000000] Command line: BOOT_IMAGE=/vmlinuz-6.8.0-1021-gcp root=PARTUUID=0 ro console=ttyS0,115200',
    `[    0.004000] DMI: Google Google Compute Engine/Google Compute Engine, BIOS Google`,
    `[    1.402112] systemd[1]: Hostname set to <${instance.name}>.`,
    "[    3.220101] cloud-init[480]: Cloud-init v. 24.4 running \u001b[1m'init'\u001b[0m",
  ]) {
    print(instance, line);
  }
}
