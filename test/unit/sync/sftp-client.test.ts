import { Duplex, PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { openSftp } from '../../../src/sync/sftp-client.ts';
import { PacketCutter, type PacketReader, type Part, packetTypes, writePacket } from '../../../src/sync/sftp-packet.ts';

type Answer = readonly [type: keyof typeof packetTypes, parts: readonly Part[]] | 'close' | 'silence';

/** A server that answers each request as the test says. */
function serve(answer: (type: number, count: number, body: PacketReader) => Answer) {
  const up = new PassThrough();
  const down = new PassThrough();
  const cutter = new PacketCutter();
  const asked: number[] = [];
  up.on('data', (bytes: Buffer) => {
    for (const { type, body } of cutter.add(bytes)) {
      asked.push(type);
      if (type === packetTypes.init) {
        down.write(Buffer.from([0, 0, 0, 5, packetTypes.version, 0, 0, 0, 3]));
        continue;
      }
      const id = body.uint32();
      const said = answer(type, asked.length, body);
      if (said === 'close') down.end();
      else if (said !== 'silence') down.write(writePacket(said[0], id, said[1]));
    }
  });
  return { stream: Duplex.from({ readable: down, writable: up }), asked };
}

const status = (code: number, text = ''): Answer => ['status', [code, text, '']];

test('what is there, what is not, and what the server says of the rest', async () => {
  const { stream } = serve((_type, count) => (count === 2 ? ['attrs', [{ attrs: {} }]] : count === 3 ? status(2) : status(3, 'Permission denied')));
  const client = await openSftp(stream);
  expect(await client.lstat('/a')).toEqual({ size: 0, mode: null, mtime: 0 });
  expect(await client.lstat('/b')).toBeNull();
  await expect(client.lstat('/c')).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('/c: Permission denied') });
  client.close();
});

test('a full disk is said as such', async () => {
  const { stream } = serve((type) => (type === packetTypes.open ? ['handle', [Buffer.from('h')]] : status(4, 'No space left on device')));
  const client = await openSftp(stream);
  let pieces = 2;
  const next = () => (pieces-- > 0 ? Buffer.alloc(100_000) : null);
  await expect(client.write('/a', () => ({ mode: 0o600, mtime: 0 }), next)).rejects.toMatchObject({ code: 'disk-full' });
  client.close();
});

test('short answers are asked for again, and the content is in order', async () => {
  const content = Buffer.from('abcdefghij');
  const { stream } = serve((type, _count, body) => {
    if (type === packetTypes.open) return ['handle', [Buffer.from('h')]];
    if (type !== packetTypes.read) return status(0);
    body.bytes();
    const from = body.uint64();
    return from >= content.length ? status(1) : ['data', [content.subarray(from, from + 3)]];
  });
  const client = await openSftp(stream);
  const got: Buffer[] = [];
  expect(await client.read('/a', content.length, (bytes) => void got.push(bytes))).toBe(true);
  expect(Buffer.concat(got)).toEqual(content);
  client.close();
});

test.each([
  ['ends', 'close', 'connection'],
  ['answers something else', ['handle', [Buffer.from('x')]], 'protocol'],
] as const)('a server that %s', async (_what, answer, code) => {
  const client = await openSftp(serve(() => answer as Answer).stream);
  await expect(client.lstat('/a')).rejects.toMatchObject({ code });
  if (code === 'connection') await expect(client.mkdir('/b', 0o700)).rejects.toMatchObject({ code });
});

test('a shell that greets is no server', async () => {
  const stream = Duplex.from({ readable: PassThrough.from([Buffer.from('Welcome to the machine!\n')]), writable: new PassThrough().resume() });
  await expect(openSftp(stream)).rejects.toMatchObject({ code: 'protocol' });
});
