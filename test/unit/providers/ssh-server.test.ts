import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import ssh2, { type Client, type ClientChannel, type SFTPWrapper } from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startSshServer } from '../../../src/providers/local/ssh-server.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';
import { gone } from '../../contract/transport-observe.ts';

const hasSsh = spawnSync('ssh', ['-V']).error === undefined;
const hasTerminals = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;
const execFileAsync = promisify(execFile);
let server: LocalServer;
const clients: Client[] = [];

beforeEach(async () => {
  server = await startLocalServer();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end();
  await server.close();
});

async function connect(over: Record<string, unknown> = {}): Promise<Client> {
  const client = new ssh2.Client();
  clients.push(client);
  client.on('error', () => {}); // the server's end resets it
  client.connect({ host: '127.0.0.1', port: server.port, username: server.user, privateKey: readFileSync(server.identityFile), ...over });
  await once(client, 'ready');
  return client;
}

function exec(client: Client, command: string, options: ssh2.ExecOptions = {}): Promise<ClientChannel> {
  return new Promise((resolve, reject) => client.exec(command, options, (error, channel) => (error ? reject(error) : resolve(channel))));
}

async function output(channel: ClientChannel): Promise<{ text: string; exit: unknown[] }> {
  let text = '';
  channel.on('data', (data: Buffer) => {
    text += data;
  });
  channel.stderr.resume();
  const [exit] = await Promise.all([once(channel, 'exit'), once(channel, 'close')]);
  return { text, exit };
}

describe('logging in', () => {
  test.each([
    ['a stranger’s key', () => ({ privateKey: readFileSync(server.strangerFile) })],
    ['another user', () => ({ username: 'root' })],
    ['a password', () => ({ privateKey: undefined, password: 'gpu' })],
    ['nothing at all', () => ({ privateKey: undefined, authHandler: ['none'] })],
  ])('%s is refused', async (_what, over) => {
    await expect(connect(over())).rejects.toMatchObject({ level: 'client-authentication' });
    expect(server.connections()).toBe(0);
  });

  test('the right key with another’s signature is refused', async () => {
    const allowed = ssh2.utils.parseKey(readFileSync(server.identityFile));
    const stranger = ssh2.utils.parseKey(readFileSync(server.strangerFile));
    if (allowed instanceof Error || stranger instanceof Error) throw new Error('not parsed');
    const forged = Object.assign(Object.create(allowed), { sign: (data: Buffer) => stranger.sign(data) });
    const tries: unknown[] = [{ type: 'publickey', username: server.user, key: forged }];
    const authHandler = (_left: unknown, _partial: unknown, next: (method: unknown) => void) => next(tries.shift() ?? false);
    await expect(connect({ privateKey: undefined, authHandler })).rejects.toMatchObject({ level: 'client-authentication' });
    expect(tries).toEqual([]);
    expect(server.connections()).toBe(0);
  });

  /** Resolves when it is closed; it never says a word. */
  const silentClient = (): { socket: Socket; closed: Promise<unknown> } => {
    const socket = connectTcp(server.port, '127.0.0.1').on('error', () => {});
    return { socket: socket.resume(), closed: once(socket, 'close') };
  };

  test('who does not log in in time is cut off, who has logged in is not', async () => {
    await server.close();
    server = await startLocalServer({ loginWithinMs: 1_500 });
    const client = await connect();
    await silentClient().closed;
    expect(await output(await exec(client, 'echo still here'))).toEqual({ text: 'still here\n', exit: [0] });
  });

  test('of those who have not logged in at most 64 are kept, and room is made again', async () => {
    const early = await connect(); // has logged in: it doesn't count
    const kept = Array.from({ length: 64 }, silentClient);
    await Promise.all(kept.map(({ socket }) => (socket.connecting ? once(socket, 'connect') : null)));
    await silentClient().closed;
    expect(kept.filter(({ socket }) => socket.closed)).toEqual([]);
    expect((await output(await exec(early, 'echo hello'))).text).toBe('hello\n');
    for (const { socket } of kept) socket.destroy();
    await expect
      .poll(() =>
        connect().then(
          () => server.connections(),
          () => 0,
        ),
      )
      .toBe(2);
  });

  test('a port that is taken', async () => {
    const keys = generateKeyPair();
    const started = startSshServer({
      host: '127.0.0.1',
      port: server.port,
      hostPrivateKey: keys.privateKey,
      authorizedKey: keys.publicKey,
      user: 'x',
      home: '/',
      shell: '/bin/sh',
      env: {},
    });
    await expect(started).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('commands', () => {
  test('have exactly the environment that was given', async () => {
    const { text } = await output(await exec(await connect(), 'env', { env: { SMUGGLED: 'x' } }));
    const { PWD, SHLVL, _, OLDPWD, ...rest } = Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s)),
    );
    expect(rest).toEqual({ HOME: server.home, USER: 'gpu', LOGNAME: 'gpu', SHELL: '/bin/sh', MACHINE: 'local', PATH: expect.stringContaining('/usr/bin') });
    expect(PWD).toBe(server.home);
  });

  test('a shell without a terminal reads its input', async () => {
    const client = await connect();
    const channel = await new Promise<ClientChannel>((resolve, reject) => client.shell(false, (error, opened) => (error ? reject(error) : resolve(opened))));
    channel.end('echo one\nexit 5\n');
    expect(await output(channel)).toEqual({ text: 'one\n', exit: [5] });
  });

  test('the exit status comes at once, the end of output when all who hold it have ended', async () => {
    const channel = await exec(await connect(), '(sleep 0.2; echo late) & echo early; exit 3');
    expect(await output(channel)).toEqual({ text: 'early\nlate\n', exit: [3] });
  });

  test('go on when their channel is closed, but for their input: nothing is killed without a terminal', async () => {
    const channel = await exec(await connect(), 'echo up; cat; echo on > went-on');
    await once(channel, 'data');
    channel.close();
    while (!existsSync(join(server.home, 'went-on'))) await pause(10);
  });

  test('are killed with their process group when the server closes', async () => {
    const channel = await exec(await connect(), 'trap "" HUP TERM; sleep 1000 & echo $!; wait');
    const pid = Number(String((await once(channel, 'data'))[0]));
    await server.restart();
    await gone(pid);
  });

  test.skipIf(!hasTerminals)('on a terminal are hung up when the connection is gone', async () => {
    const client = await connect();
    const channel = await exec(client, 'echo $$; exec sleep 1000', { pty: true });
    const pid = Number(String((await once(channel, 'data'))[0]));
    client.destroy();
    await gone(pid);
  });

  test.skipIf(!hasTerminals)('on a terminal get nothing that is ours', async () => {
    const { text } = await output(await exec(await connect(), 'env', { pty: true }));
    expect(text).not.toContain('GPU_RUN_PTY');
    expect(text).toContain('MACHINE=local');
  });
});

describe('sftp', () => {
  const open = async () => {
    const client = await connect();
    return await new Promise<SFTPWrapper>((resolve, reject) => client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp))));
  };
  const call = <T = void>(start: (done: (error: Error | null | undefined, value?: any) => void) => void) =>
    new Promise<T>((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));

  test('files and folders come and go', async () => {
    const sftp = await open();
    const bytes = randomBytes(3 * 1024 * 1024 + 5);
    writeFileSync(join(server.folder, 'source'), bytes);
    await call((done) => sftp.mkdir('folder', done));
    await call((done) => sftp.fastPut(join(server.folder, 'source'), 'folder/file', done));
    expect(readFileSync(join(server.home, 'folder/file')).equals(bytes)).toBe(true);
    await call((done) => sftp.fastGet('folder/file', join(server.folder, 'back'), done));
    expect((await readFile(join(server.folder, 'back'))).equals(bytes)).toBe(true);
    await call((done) => sftp.chmod('folder/file', 0o751, done));
    await call((done) => sftp.utimes('folder/file', 1000, 2000, done));
    const stats = await call<ssh2.Stats>((done) => sftp.stat('folder/file', done));
    expect([stats.mode & 0o7777, stats.size, stats.atime, stats.mtime, stats.isFile()]).toEqual([0o751, bytes.length, 1000, 2000, true]);
    await call((done) => sftp.symlink('file', 'folder/link', done));
    expect(readlinkSync(join(server.home, 'folder/link'))).toBe('file');
    expect(await call<string>((done) => sftp.readlink('folder/link', done))).toBe('file');
    expect((await call<ssh2.Stats>((done) => sftp.lstat('folder/link', done))).isSymbolicLink()).toBe(true);
    await call((done) => sftp.rename('folder/file', 'folder/moved', done));
    expect((await call<{ filename: string }[]>((done) => sftp.readdir('folder', done as never))).map(({ filename }) => filename).sort()).toEqual([
      'link',
      'moved',
    ]);
    await call((done) => sftp.unlink('folder/link', done));
    await call((done) => sftp.unlink('folder/moved', done));
    await call((done) => sftp.rmdir('folder', done));
    expect(readdirSync(server.home)).toEqual([]);
    expect(await call<string>((done) => sftp.realpath('.', done))).toBe(server.home);
  });

  test('a folder of many entries is listed whole', async () => {
    const sftp = await open();
    for (let index = 0; index < 250; index++) writeFileSync(join(server.home, `${index}`), '');
    expect(await call<unknown[]>((done) => sftp.readdir('.', done as never))).toHaveLength(250);
  });

  test('what can not be done says so', async () => {
    const sftp = await open();
    writeFileSync(join(server.home, 'a'), '');
    writeFileSync(join(server.home, 'b'), '');
    await expect(call((done) => sftp.stat('missing', done))).rejects.toMatchObject({ code: 2 });
    await expect(call((done) => sftp.rename('a', 'b', done))).rejects.toMatchObject({ code: 4 });
    await expect(call((done) => sftp.rmdir('a', done))).rejects.toMatchObject({ code: 4 });
    await expect(call((done) => sftp.open('a', 'wx', done))).rejects.toMatchObject({ code: 4 });
    expect(readdirSync(server.home).sort()).toEqual(['a', 'b']);
  });

  test.skipIf(!hasSsh)('OpenSSH’s scp copies a tree both ways', async () => {
    const known = join(server.folder, 'known_hosts');
    writeFileSync(known, `[127.0.0.1]:${server.port} ${server.hostKeys.publicKey}\n`);
    const options = [
      '-o',
      `UserKnownHostsFile=${known}`,
      '-o',
      'BatchMode=yes',
      '-o',
      'IdentitiesOnly=yes',
      '-F',
      '/dev/null',
      '-i',
      server.identityFile,
      '-P',
      `${server.port}`,
    ];
    const tree = join(server.folder, 'tree');
    mkdirSync(join(tree, 'sub folder'), { recursive: true });
    writeFileSync(join(tree, 'sub folder', "it's"), randomBytes(500_000));
    writeFileSync(join(tree, 'run'), '#!/bin/sh\n');
    chmodSync(join(tree, 'run'), 0o755);
    symlinkSync('run', join(tree, 'link'));
    await execFileAsync('scp', [...options, '-s', '-rp', tree, `${server.user}@127.0.0.1:copy`]);
    await execFileAsync('scp', [...options, '-s', '-rp', `${server.user}@127.0.0.1:copy`, join(server.folder, 'back')]);
    const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(digest(join(server.folder, 'back', 'sub folder', "it's"))).toBe(digest(join(tree, 'sub folder', "it's")));
    expect(statSync(join(server.folder, 'back', 'run')).mode & 0o777).toBe(0o755);
    expect(lstatSync(join(server.home, 'copy', 'run')).isFile()).toBe(true);
  });
});
