/** What every transport does, in front of every SSH server. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { GpuRunError } from '../../src/core/errors.ts';
import type { ConnectOptions, Transport } from '../../src/transport/transport.ts';
import { collect, exchange, firstLine, gone, hiddenFiles, processesNaming, run, settled, sha256, startEcho } from './transport-observe.ts';

export interface TransportSubject {
  readonly options: ConnectOptions;
  /** The same machine, but another host key is expected. */
  readonly wrongHostKey: ConnectOptions;
  /** The same machine, with a key that it doesn't accept. */
  readonly wrongIdentity: ConnectOptions;
  /** Ends the server with all its connections as a power cut would, and starts it again at the same address. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface TransportKind {
  readonly connect: (options: ConnectOptions) => Transport;
  readonly start: () => Promise<TransportSubject>;
}

const oddWords = [
  '',
  ' ',
  "it's",
  '"',
  '$HOME',
  '`id`',
  '$(id)',
  '\\',
  '\\n',
  '*',
  '~',
  '-n',
  '--',
  'a\nb',
  '\n',
  '\t',
  'é漢🙂',
  '!x',
  '#',
  ';',
  '|',
  '&&',
  'a=b',
  '%s',
  '\u0001',
];

export function transportContract(name: string, kind: TransportKind): void {
  describe(name, () => {
    let subject: TransportSubject;
    let folder: string;
    const open: Transport[] = [];
    const transport = (options: ConnectOptions = subject.options): Transport => {
      const made = kind.connect(options);
      open.push(made);
      return made;
    };

    beforeAll(async () => {
      subject = await kind.start();
      folder = mkdtempSync(join(tmpdir(), 'gpu-run-transport-'));
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((each) => each.close()));
    });
    afterAll(async () => {
      await subject?.close();
      if (folder) rmSync(folder, { recursive: true, force: true });
    });

    test('words reach the program unchanged', async () => {
      const { stdout, status } = await run(transport().exec(['printf', '%s\\0', ...oddWords]));
      expect(stdout.toString().split('\0').slice(0, -1)).toEqual(oddWords);
      expect(status).toEqual({ code: 0, signal: null });
    });

    test('a command starts in the home folder and gets no input but ours', async () => {
      const { stdout } = await run(transport().exec(['sh', '-c', 'test "$(pwd -P)" = "$(cd && pwd -P)" && echo home']));
      expect(stdout.toString()).toBe('home\n');
    });

    test.each([0, 1, 37, 127, 254, 255])('exit code %i', async (code) => {
      const { status, stdout } = await run(transport().exec(['sh', '-c', `echo before; exit ${code}`]));
      expect(status).toEqual({ code, signal: null });
      expect(stdout.toString()).toBe('before\n');
    });

    test.each([
      ['SIGKILL', 137],
      ['SIGTERM', 143],
      ['SIGSEGV', 139],
    ])('death by %s', async (signal, code) => {
      const { status } = await run(transport().exec(['sh', '-c', `kill -${signal.slice(3)} $$`]));
      expect(status).toEqual({ code, signal });
    });

    test('a command that does not exist ends with 127 and says so', async () => {
      const { status, stderr } = await run(transport().exec(['gpu-run-no-such-command']));
      expect(status).toEqual({ code: 127, signal: null });
      expect(stderr.toString()).toMatch(/gpu-run-no-such-command.*not found/);
    });

    test('output and errors come apart, without a word of SSH in them', async () => {
      const { stdout, stderr } = await run(transport().exec(['sh', '-c', 'printf out; printf err >&2; exit 255']));
      expect([stdout.toString(), stderr.toString()]).toEqual(['out', 'err']);
    });

    test('megabytes of any bytes go in and come out of both outputs at once', async () => {
      const bytes = randomBytes(6 * 1024 * 1024 + 17);
      const file = join(folder, 'bytes');
      const command = transport().exec(['sh', '-c', 'cat > "$1"; cat "$1" & cat "$1" >&2; wait', 'sh', file]);
      const { stdout, stderr, status } = await run(command, bytes);
      expect(status.code).toBe(0);
      expect([sha256(stdout), sha256(stderr)]).toEqual([sha256(bytes), sha256(bytes)]);
    });

    test('a reader that stops holds the command back, and loses nothing', async () => {
      const command = transport().exec(['sh', '-c', 'head -c 12000000 /dev/zero; echo sent >&2']);
      command.stdin.end();
      const hash = createHash('sha256');
      let bytes = 0;
      command.stderr.resume();
      for await (const chunk of command.stdout) {
        if (bytes === 0) await pause(50);
        bytes += (chunk as Buffer).length;
        hash.update(chunk as Buffer);
      }
      expect(await command.exit).toEqual({ code: 0, signal: null });
      expect(hash.digest('hex')).toBe(sha256(Buffer.alloc(12_000_000)));
    });

    test('what is written before the connection stands arrives; input that nobody reads does no harm', async () => {
      const machine = transport();
      const early = machine.exec(['cat']);
      early.stdin.write('early ');
      expect((await run(early, Buffer.from('late'))).stdout.toString()).toBe('early late');
      expect((await run(machine.exec(['true']), Buffer.alloc(1024 * 1024))).status.code).toBe(0);
    });

    test('twenty commands at once', async () => {
      const machine = transport();
      const ended = await Promise.all(
        Array.from({ length: 20 }, (_, index) => run(machine.exec(['sh', '-c', 'cat; exit "$1"', 'sh', `${index}`]), Buffer.from(`input ${index}`))),
      );
      expect(ended.map(({ stdout, status }) => [stdout.toString(), status.code])).toEqual(Array.from({ length: 20 }, (_, index) => [`input ${index}`, index]));
    });

    test('kill ends the command', async () => {
      const command = transport().exec(['sh', '-c', 'echo $$; exec cat']);
      const pid = Number(await firstLine(command));
      command.kill();
      // Which it is depends on what the server does first: pass on the signal, end the input, or close the channel.
      expect(['interrupted', 143, 0]).toContain(await settled(command.exit));
      await gone(pid);
    });

    test('abort ends the command, whether it runs, connects or has not begun', async () => {
      const machine = transport();
      const beginning = new AbortController();
      const early = machine.exec(['cat'], { signal: beginning.signal });
      beginning.abort();
      expect(await settled(early.exit)).toBe('interrupted');

      const running = new AbortController();
      const command = machine.exec(['sh', '-c', 'echo $$; exec cat'], { signal: running.signal });
      const pid = Number(await firstLine(command));
      running.abort();
      expect(await settled(command.exit)).toBe('interrupted');
      await gone(pid);
      expect(await settled(machine.exec(['true'], { signal: AbortSignal.abort() }).exit)).toBe('interrupted');
    });

    test('a lost connection ends a command with `connection`; the next one connects again', async () => {
      const machine = transport();
      const command = machine.exec(['sh', '-c', 'echo up; exec cat']);
      await firstLine(command);
      await subject.restart();
      expect(await settled(command.exit)).toBe('connection');
      expect((await run(machine.exec(['echo', 'again']))).stdout.toString()).toBe('again\n');
    });

    test('another host key than expected is refused before anything is sent', async () => {
      const error = await transport(subject.wrongHostKey)
        .connect()
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(GpuRunError);
      expect(error).toMatchObject({ code: 'host-key', retry: 'never', message: expect.stringContaining('SHA256:') });
      expect(await settled(transport(subject.wrongHostKey).exec(['true']).exit)).toBe('host-key');
    });

    test('a key that the machine does not accept', async () => {
      await expect(transport(subject.wrongIdentity).connect()).rejects.toMatchObject({ code: 'not-allowed', retry: 'never' });
      expect(await settled(transport(subject.wrongIdentity).exec(['true']).exit)).toBe('not-allowed');
    });

    test.each(['plain', 'with space', "it's", '-dash', 'new\nline', 'é漢', '$HOME', 'sub/folder/file', '*'])(
      'a file named %j goes there and back',
      async (path) => {
        const machine = transport();
        const bytes = randomBytes(300_000);
        const target = join(folder, 'files', path);
        await machine.copyTo(bytes, target, { mode: 0o640 });
        expect(sha256(readFileSync(target))).toBe(sha256(bytes));
        expect(statSync(target).mode & 0o7777).toBe(0o640);
        expect(statSync(join(folder, 'files')).mode & 0o777).toBe(0o700);
        expect(sha256(await collect(machine.copyFrom(target)))).toBe(sha256(bytes));
        expect(hiddenFiles(join(folder, 'files'))).toEqual([]);
      },
    );

    test('a file is replaced, may be empty or a stream, and executable', async () => {
      const machine = transport();
      const target = join(folder, 'replaced');
      await machine.copyTo(Readable.from([Buffer.from('#!/bin/sh\n'), 'echo ran\n']), target, { mode: 0o755 });
      expect((await run(machine.exec([target]))).stdout.toString()).toBe('ran\n');
      await machine.copyTo(new Uint8Array(0), target, { mode: 0o600 });
      expect(readFileSync(target).length).toBe(0);
      expect(await collect(machine.copyFrom(target))).toEqual(Buffer.alloc(0));
    });

    test('a file relative to the home folder', async () => {
      const machine = transport();
      const name = `gpu-run-test-${randomBytes(6).toString('hex')}`;
      await machine.copyTo(Buffer.from('at home'), name, { mode: 0o600 });
      expect((await run(machine.exec(['sh', '-c', 'cat ~/"$1"; rm ~/"$1"', 'sh', name]))).stdout.toString()).toBe('at home');
    });

    test('a source that fails leaves the old file and nothing else', async () => {
      const machine = transport();
      const target = join(folder, 'kept', 'file');
      await machine.copyTo(Buffer.from('old'), target, { mode: 0o600 });
      async function* failing() {
        yield Buffer.from('half of the new');
        throw new Error('the disk is gone');
      }
      await expect(machine.copyTo(Readable.from(failing()), target, { mode: 0o600 })).rejects.toThrow(/the disk is gone/);
      expect(readFileSync(target, 'utf8')).toBe('old');
      expect(readdirSync(join(folder, 'kept'))).toEqual(['file']);
    });

    test('files that can not be written or read say why', async () => {
      const machine = transport();
      writeFileSync(join(folder, 'a-file'), '');
      symlinkSync('nowhere', join(folder, 'dangling'));
      await expect(machine.copyTo(Buffer.from('x'), folder, { mode: 0o600 })).rejects.toMatchObject({
        code: 'sync',
        message: expect.stringContaining('folder'),
      });
      await expect(machine.copyTo(Buffer.from('x'), join(folder, 'a-file', 'below'), { mode: 0o600 })).rejects.toMatchObject({ code: 'sync' });
      await expect(machine.copyTo(Buffer.from('x'), '/dev/full/x', { mode: 0o600 })).rejects.toMatchObject({ code: 'sync' });
      await expect(collect(machine.copyFrom(join(folder, 'missing')))).rejects.toMatchObject({ code: 'not-found' });
      await expect(collect(machine.copyFrom(join(folder, 'dangling')))).rejects.toMatchObject({ code: 'not-found' });
      await expect(collect(machine.copyFrom(folder))).rejects.toMatchObject({ code: 'sync' });
    });

    test('a forward carries bytes both ways, for several clients, and stops when closed', async () => {
      const echo = await startEcho();
      const forward = await transport().forward(0, { host: '127.0.0.1', port: echo.port });
      const bytes = randomBytes(2 * 1024 * 1024 + 3);
      const answers = await Promise.all([bytes, Buffer.from('two'), Buffer.from('three')].map((sent) => exchange(forward.port, sent)));
      expect(answers.map(sha256)).toEqual([sha256(bytes), sha256(Buffer.from('two')), sha256(Buffer.from('three'))]);
      await forward.close();
      await expect(exchange(forward.port, Buffer.from('x'))).rejects.toThrow(/ECONNREFUSED/);
      await echo.close();
    });

    test('a forward to where nothing listens disconnects its client; a taken port is a conflict', async () => {
      const echo = await startEcho();
      const machine = transport();
      await expect(machine.forward(echo.port, { host: '127.0.0.1', port: echo.port })).rejects.toMatchObject({ code: 'conflict' });
      await echo.close();
      const forward = await machine.forward(0, { host: '127.0.0.1', port: echo.port });
      expect(await exchange(forward.port, Buffer.from('x')).catch(() => Buffer.alloc(0))).toEqual(Buffer.alloc(0));
    });

    test('connect is safe to repeat; close is too, ends everything, and leaves nothing behind', async () => {
      const machine = transport();
      await Promise.all([machine.connect(), machine.connect()]);
      const forward = await machine.forward(0, { host: '127.0.0.1', port: 9 });
      const command = machine.exec(['sh', '-c', 'echo $$; exec cat']);
      const pid = Number(await firstLine(command));
      await Promise.all([machine.close(), machine.close()]);
      expect(await settled(command.exit)).toBe('connection');
      await gone(pid);
      await expect(exchange(forward.port, Buffer.from('x'))).rejects.toThrow(/ECONNREFUSED/);
      await expect(machine.connect()).rejects.toBeInstanceOf(GpuRunError);
      expect(existsSync(subject.options.scratch) ? readdirSync(subject.options.scratch) : []).toEqual([]);
      expect(processesNaming(subject.options.scratch)).toEqual([]);
    });
  });
}
