import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GpuRunError } from '../../../src/core/errors.ts';
import type { Access } from '../../../src/core/machine.ts';
import { fingerprint, generateKeyPair } from '../../../src/transport/host-keys.ts';
import { connectOpenssh } from '../../../src/transport/openssh.ts';
import { reportingCommand } from '../../../src/transport/openssh-command.ts';
import type { ConnectOptions, Transport } from '../../../src/transport/transport.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';
import { run } from '../../contract/transport-observe.ts';

/** A user's own ssh_config and known_hosts for the host `box`, in front of the SSH server of local machines. */
describe.skipIf(spawnSync('ssh', ['-V']).error !== undefined)('the ssh program', () => {
  let server: LocalServer;
  const open: Transport[] = [];

  beforeEach(async () => {
    server = await startLocalServer();
    writeFileSync(join(server.folder, 'known_hosts'), `[127.0.0.1]:${server.port} ${server.hostKeys.publicKey}\n`);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
    await server.close();
  });

  const scratch = () => join(server.folder, 'scratch');
  function options(lines: readonly string[] = [], access: Partial<Extract<Access, { kind: 'openssh' }>> = {}): ConnectOptions {
    const configFile = join(server.folder, 'config');
    const own = ['HostName 127.0.0.1', `Port ${server.port}`, `User ${server.user}`, `IdentityFile ${server.identityFile}`];
    const known = [`UserKnownHostsFile ${join(server.folder, 'known_hosts')}`, 'GlobalKnownHostsFile /dev/null'];
    writeFileSync(configFile, ['Host *', ...lines, 'Host box', ...own, ...known, ''].join('\n'));
    return {
      access: { kind: 'openssh', host: 'box', port: null, user: null, hostKey: null, configFile, identityFile: null, ...access },
      identityFile: null,
      scratch: scratch(),
    };
  }
  function transport(given: ConnectOptions = options()): Transport {
    const made = connectOpenssh(given);
    open.push(made);
    return made;
  }
  async function failure(given: ConnectOptions): Promise<GpuRunError> {
    const outcome = await transport(given)
      .connect()
      .catch((error: GpuRunError) => error);
    return outcome ?? expect.unreachable('it connected');
  }
  /** Another process of ours, connected. */
  async function connectedElsewhere(given: ConnectOptions): Promise<ChildProcess> {
    const program = `
      import { connectOpenssh } from ${JSON.stringify(join(import.meta.dirname, '../../../src/transport/openssh.ts'))};
      const machine = connectOpenssh(${JSON.stringify(given)});
      const command = machine.exec(['sleep', '1000']);
      await machine.connect();
      console.log('connected');`;
    const owner: ChildProcess = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void owner.kill('SIGKILL'));
    await once(owner.stdout as NodeJS.ReadableStream, 'data');
    return owner;
  }
  const toOutput = async (machine: Transport, ...argv: string[]) => (await run(machine.exec(argv))).stdout.toString();

  test("a command gets the machine's variables as they are, whatever they are called", async () => {
    const { line } = reportingCommand(['sh', '-c', 'echo "$mark $code"; exit 255']);
    const { stdout, status } = spawnSync('sh', ['-c', line], { env: { ...process.env, mark: 'theirs', code: 'too' }, encoding: 'utf8' });
    expect({ stdout, status }).toEqual({ stdout: 'theirs too\n', status: 255 });
  });

  test('all commands share one connection', async () => {
    const machine = transport();
    await Promise.all(Array.from({ length: 12 }, async () => expect(await toOutput(machine, 'echo', 'hello')).toBe('hello\n')));
    expect(server.connections()).toBe(1);
  });

  test('the connection dies with us, even when we are killed, and so do its files', async () => {
    const owner = await connectedElsewhere(options());
    expect(server.connections()).toBe(1);
    owner.kill('SIGKILL');
    while (server.connections() > 0 || readdirSync(scratch()).length > 0) await pause(10);
  });

  test('an open connection of the user is shared, and left open', async () => {
    const socket = join(server.folder, 'users.sock');
    const given = options([`ControlPath ${socket}`]);
    const { configFile } = given.access as { configFile: string };
    const users = spawn('ssh', ['-F', configFile, '-M', '-N', '-o', 'BatchMode=yes', 'box'], { stdio: 'ignore' });
    onTestFinished(() => void users.kill());
    while (!existsSync(socket)) await pause(10);
    const machine = transport(given);
    await machine.connect();
    expect(await toOutput(machine, 'echo', 'shared')).toBe('shared\n');
    expect(server.connections()).toBe(1);
    await machine.close();
    execFileSync('ssh', ['-F', configFile, '-O', 'check', 'box'], { stdio: 'pipe' });
    (await connectedElsewhere(given)).kill('SIGKILL');
    while (readdirSync(scratch()).length > 0) await pause(10);

    users.kill();
    await once(users, 'exit');
    const alone = transport(given);
    expect(await toOutput(alone, 'echo', 'alone')).toBe('alone\n');
  });

  test("a connection of the user's that is dead without knowing it: one of our own instead, or an end with the caller's patience", async () => {
    const path = process.env['PATH'] ?? '';
    // `-O check` is answered by the local process; what would go over the wire hangs.
    const hangs = 'case " $* " in *" -O check "*) exit 0;; *" -S "* | *" -G "*) PATH=$PATH_BEFORE; exec ssh "$@";; esac\nexec sleep 20';
    writeFileSync(join(server.folder, 'ssh'), `#!/bin/sh\n${hangs}\n`, { mode: 0o755 });
    vi.stubEnv('PATH_BEFORE', path);
    vi.stubEnv('PATH', `${server.folder}:${path}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    const given = { ...options([`ControlPath ${join(server.folder, 'users.sock')}`]), timeoutMs: 1_500 };
    const machine = transport(given);
    await Promise.all([machine.connect(), machine.connect()]);
    expect(await toOutput(machine, 'echo', 'hello')).toBe('hello\n');
    expect(server.connections()).toBe(1);
    await expect(transport({ ...given, timeoutMs: 60_000 }).connect(AbortSignal.timeout(300))).rejects.toMatchObject({ code: 'interrupted' });
  });

  test("what the user's config adds for sessions by hand does not get in the way", async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const config = [
      `LocalForward ${port} 127.0.0.1:9`,
      'ExitOnForwardFailure yes',
      'RemoteCommand echo no',
      'RequestTTY force',
      'LogLevel DEBUG',
      'StrictHostKeyChecking no',
    ];
    const { stdout, stderr, status } = await run(transport(options(config)).exec(['sh', '-c', 'echo out; echo err >&2; exit 255']));
    expect([stdout.toString(), stderr.toString(), status.code]).toEqual(['out\n', 'err\n', 255]);
  });

  test("only ciphers that the user's config allows are used", async () => {
    const machine = transport(options(['Ciphers aes256-ctr']));
    expect(await toOutput(machine, 'echo', 'hello')).toBe('hello\n');
  });

  test('a jump host of the config is used', async () => {
    const jump = await startLocalServer();
    onTestFinished(jump.close);
    writeFileSync(
      join(server.folder, 'known_hosts'),
      `[127.0.0.1]:${jump.port} ${jump.hostKeys.publicKey}\n[127.0.0.1]:${server.port} ${server.hostKeys.publicKey}\n`,
    );
    const given = options();
    const { configFile } = given.access as { configFile: string };
    const known = `UserKnownHostsFile ${join(server.folder, 'known_hosts')}\nGlobalKnownHostsFile /dev/null\n`;
    const jumpLines = `Host jump\nHostName 127.0.0.1\nPort ${jump.port}\nUser ${jump.user}\nIdentityFile ${jump.identityFile}\n${known}`;
    writeFileSync(configFile, `${readFileSync(configFile, 'utf8')}ProxyJump jump\n${jumpLines}`);
    expect(await toOutput(transport(given), 'echo', 'through')).toBe('through\n');
    expect([jump.connections(), server.connections()]).toEqual([1, 1]);
  });

  test('an unknown host is refused, whatever the config says, and how to get to know it is told', async () => {
    writeFileSync(join(server.folder, 'known_hosts'), '');
    const error = await failure(options(['StrictHostKeyChecking no']));
    expect(error).toMatchObject({ code: 'host-key', retry: 'never' });
    expect(error.hints.join()).toContain('`ssh box`');
    expect(readFileSync(join(server.folder, 'known_hosts'), 'utf8')).toBe('');
  });

  test('a changed host key: which line holds the old one, and what the new one is', async () => {
    writeFileSync(join(server.folder, 'known_hosts'), `# comment\n[127.0.0.1]:${server.port} ${generateKeyPair().publicKey}\n`);
    const error = await failure(options());
    expect(error).toMatchObject({ code: 'host-key', retry: 'never' });
    expect(error.message).toContain(`line 2 of ${join(server.folder, 'known_hosts')}`);
    expect(error.message).toContain(fingerprint(server.hostKeys.publicKey));
  });

  test('a pinned key counts instead of known_hosts, and only it', async () => {
    writeFileSync(join(server.folder, 'known_hosts'), '');
    expect(await toOutput(transport(options([], { hostKey: server.hostKeys.publicKey })), 'echo', 'pinned')).toBe('pinned\n');
    writeFileSync(join(server.folder, 'known_hosts'), `[127.0.0.1]:${server.port} ${server.hostKeys.publicKey}\n`);
    const other = generateKeyPair().publicKey;
    const error = await failure(options([], { hostKey: other }));
    expect(error.code).toBe('host-key');
    expect(error.message).toContain(fingerprint(other));
    expect(error.message).toContain(fingerprint(server.hostKeys.publicKey));
  });

  test.each([
    ['a name that is none', { host: 'no-such-host.invalid' }, 'connection', /not known/],
    ['a port where nothing listens', { port: 1 }, 'connection', /refused/i],
    ['a config that is missing', { configFile: '/nonexistent/config' }, 'bad-input', /config/],
    ['an option for a host', { host: '-oProxyCommand=touch /tmp/x' }, 'bad-input', /name of a host/],
    ['a pinned key that is none', { hostKey: 'ssh-ed25519 nonsense' }, 'bad-input', /no public SSH key/],
  ] as const)('%s', async (_what, access, code, message) => {
    const error = await failure(options([], access));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a misspelt option in the config', async () => {
    expect(await failure(options(['HostNam x']))).toMatchObject({ code: 'bad-input', message: expect.stringMatching(/hostnam/i) });
  });

  test('a server that says nothing is given up', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const error = await failure({ ...options([], { port }), timeoutMs: 300 });
    expect(error).toMatchObject({ code: 'connection', retry: 'same' });
    expect(readdirSync(scratch()).length).toBe(1);
  });

  test('a scratch folder whose path is too long for a socket does no harm', async () => {
    const deep = join(server.folder, 'x'.repeat(60), 'y'.repeat(60));
    mkdirSync(deep, { recursive: true });
    expect(await toOutput(transport({ ...options(), scratch: deep }), 'echo', 'hello')).toBe('hello\n');
  });
});
