import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { createFakeTransport } from '../../../src/testing/index.ts';

const forever = () => new Promise<never>(() => {});

describe('the fake transport', () => {
  test('answers commands as the test says, with their input at hand', async () => {
    const transport = createFakeTransport({ run: async ({ argv, input }) => ({ stdout: `${argv.join(' ')}: ${await input()}`, stderr: 'warned', code: 3 }) });
    const command = transport.exec(['wc', '-c']);
    command.stdin.end('four');
    expect(await Promise.all([text(command.stdout), text(command.stderr), command.exit])).toEqual(['wc -c: four', 'warned', { code: 3, signal: null }]);
    expect(transport.commands).toEqual([['wc', '-c']]);
  });

  test('a killed command dies of the signal, an aborted one is interrupted, a dropped connection ends all', async () => {
    const transport = createFakeTransport({ run: forever });
    const killed = transport.exec(['sleep', 'infinity']);
    killed.kill('SIGKILL');
    expect(await killed.exit).toEqual({ code: 137, signal: 'SIGKILL' });
    const abort = new AbortController();
    const aborted = transport.exec(['sleep', 'infinity'], { signal: abort.signal });
    abort.abort();
    await expect(aborted.exit).rejects.toMatchObject({ code: 'interrupted' });
    const dropped = transport.exec(['sleep', 'infinity']);
    transport.drop();
    await expect(dropped.exit).rejects.toMatchObject({ code: 'connection' });
    expect(await text(dropped.stdout)).toBe('');
  });

  test('connects again after a drop, and never after close', async () => {
    const transport = createFakeTransport();
    transport.drop();
    expect(await transport.exec(['true']).exit).toEqual({ code: 0, signal: null });
    await transport.close();
    await transport.close();
    expect(transport.closed).toBe(true);
    await expect(transport.exec(['true']).exit).rejects.toMatchObject({ code: 'connection' });
    await expect(transport.connect()).rejects.toMatchObject({ code: 'connection' });
  });

  test('files come back as they went, and a missing one fails', async () => {
    const transport = createFakeTransport();
    await transport.copyTo(Buffer.from('a\0b'), 'run/x', { mode: 0o600 });
    expect(transport.files.get('run/x')).toEqual({ content: Buffer.from('a\0b'), mode: 0o600 });
    expect(await text(transport.copyFrom('run/x'))).toBe('a\0b');
    await expect(text(transport.copyFrom('run/y'))).rejects.toMatchObject({ code: 'not-found' });
  });

  test('forwards are noted while they are open', async () => {
    const transport = createFakeTransport();
    const forward = await transport.forward(0, { host: '127.0.0.1', port: 8888 });
    expect(transport.forwards).toEqual([{ port: forward.port, remote: { host: '127.0.0.1', port: 8888 } }]);
    await forward.close();
    expect(transport.forwards).toEqual([]);
  });
});
