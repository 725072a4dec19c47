import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FetchingMachine, makeFetchingMachine } from '../../support/fetching.ts';
import { cutAfter, type FileServer, startFileServer } from '../../support/file-server.ts';
import { sha256 } from '../../support/sha256.ts';
import { readTree } from '../../support/tree.ts';

let server: FileServer;
let machine: FetchingMachine;
beforeEach(async () => {
  server = await startFileServer();
  machine = makeFetchingMachine();
});
afterEach(async () => {
  machine.remove();
  await server[Symbol.asyncDispose]();
});

const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));

function serve(bytes: Uint8Array = content, etag: string | null = '"one"', path = '/pets.bin'): string {
  server.files.set(path, { bytes, etag });
  return `${server.url}${path}`;
}

function fetched(path = 'data/x'): Buffer {
  return readFileSync(join(machine.workdir, path));
}

describe('a file that the machine fetches', () => {
  it('comes whole, says how far it is, and leaves nothing else behind', async () => {
    const result = await machine.fetch([{ from: serve() }]);
    expect(fetched().equals(content)).toBe(true);
    expect(result).toMatchObject({ files: 1, bytes: content.length, fetchedBytes: content.length, warnings: [] });
    expect(result.progress[0]).toEqual({ type: 'progress', done: 0, total: content.length });
    expect(Object.keys(readTree(machine.workdir))).toEqual(['data/', 'data/x']);
    expect(Object.keys(readTree(join(machine.root, 'sync', 'fetch'))).filter((name) => /parts\/./.test(name))).toEqual([]);
  });

  it('is asked for with one short question when nothing has changed, and with none when its SHA-256 is known', async () => {
    const from = serve();
    await machine.fetch([{ from }]);
    server.asked.length = 0;
    expect(await machine.fetch([{ from }])).toMatchObject({ files: 1, bytes: content.length, fetchedBytes: 0 });
    expect(server.asked).toEqual(['GET /pets.bin']);
    expect(server.headers.at(-1)?.['if-none-match']).toBe('"one"');
    expect((await machine.fetch([{ from, sha256: sha256(content) }])).fetchedBytes).toBe(0);
    expect(server.asked).toHaveLength(1);
  });

  it('is fetched again when the server has another one, or somebody has changed it here, whose version is kept', async () => {
    await machine.fetch([{ from: serve() }]);
    await machine.fetch([{ from: serve(Buffer.from('two'), '"two"') }]);
    expect(fetched().toString()).toBe('two');
    writeFileSync(join(machine.workdir, 'data/x'), 'ten'); // as long as before
    const { warnings, fetchedBytes } = await machine.fetch([{ from: `${server.url}/pets.bin` }]);
    expect(fetchedBytes).toBe(3);
    expect(warnings).toEqual([expect.stringMatching(/^data\/x was made or changed on the machine; its version there was moved to .*kept/)]);
    expect(readFileSync(warnings[0]?.split(' moved to ')[1] ?? '', 'utf8')).toBe('ten');
  });

  it('is fetched again where the server names no state of it: that it is the same can not be known', async () => {
    const from = serve(content, null);
    await machine.fetch([{ from }]);
    expect((await machine.fetch([{ from }])).fetchedBytes).toBe(content.length);
  });

  it('goes on where the connection broke, any number of times as long as something comes', async () => {
    const from = serve();
    server.misbehave = cutAfter(20_000);
    const { fetchedBytes } = await machine.fetch([{ from, sha256: sha256(content) }]);
    expect(fetched().equals(content)).toBe(true);
    expect(fetchedBytes).toBe(content.length);
    expect(server.asked.filter((line) => line.includes('bytes='))).toHaveLength(Math.ceil(content.length / 20_000) - 1);
  });

  it('is given up after nine tries in vain, and goes on from there the next time', async () => {
    const from = serve();
    let left = 100_000;
    server.misbehave = (request, answer, file) => {
      if (left === 0) return answer.destroy() === answer;
      if (request.headers.range === undefined && server.asked.length === 1) return false; // the question before
      const cut = cutAfter(left)(request, answer, file);
      left = 0;
      return cut;
    };
    await expect(machine.fetch([{ from }])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('goes on behind what is there') });
    expect(machine.slept).toHaveLength(8);
    expect(existsSync(join(machine.workdir, 'data/x'))).toBe(false);
    server.misbehave = null;
    server.asked.length = 0;
    expect(await machine.fetch([{ from }])).toMatchObject({ fetchedBytes: 200_000 });
    expect(server.asked).toEqual(['GET /pets.bin', 'GET /pets.bin bytes=100000-']);
    expect(fetched().equals(content)).toBe(true);
  });

  it('never mixes two states: what has changed meanwhile comes from its start', async () => {
    const from = serve();
    const other = Buffer.alloc(content.length, 'o');
    let cuts = 0;
    server.misbehave = (request, answer, file) => {
      if (server.asked.length === 1 || cuts > 0) return false;
      cuts += 1;
      const cut = cutAfter(150_000)(request, answer, file);
      answer.on('close', () => server.files.set('/pets.bin', { bytes: other, etag: '"two"' }));
      return cut;
    };
    await machine.fetch([{ from }]);
    expect(fetched().equals(other)).toBe(true);
    expect(server.asked.at(-1)).toBe('GET /pets.bin bytes=150000-');
  });

  it('is not resumed on trust: without a state or a sum it comes from its start, with a sum a mix is noticed and mended', async () => {
    const from = serve(content, null);
    const old = Buffer.alloc(content.length, 'x');
    let cut = false;
    const once: FileServer['misbehave'] = (request, answer) => {
      if (server.asked.length === 1 || cut) return false;
      cut = true;
      return cutAfter(100_000)?.(request, answer, { bytes: old, etag: null }) ?? false;
    };
    server.misbehave = once;
    await machine.fetch([{ from }]);
    expect(fetched().equals(content)).toBe(true);
    expect(server.asked.some((line) => line.includes('bytes='))).toBe(false);
    rmSync(join(machine.workdir, 'data/x'));
    server.asked.length = 0;
    cut = false;
    await machine.fetch([{ from, sha256: sha256(content) }]);
    expect(fetched().equals(content)).toBe(true);
    expect(server.asked).toEqual(['GET /pets.bin', 'GET /pets.bin', 'GET /pets.bin bytes=100000-', 'GET /pets.bin']);
  });

  it('is refused when it is not what the config says, and the one that was there stays', async () => {
    await machine.fetch([{ from: serve() }]);
    const wrong = machine.fetch([{ from: serve(Buffer.from('evil'), '"two"'), sha256: sha256(content.subarray(1)) }]);
    await expect(wrong).rejects.toMatchObject({ code: 'sync', message: expect.stringMatching(/its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}/) });
    expect(fetched().equals(content)).toBe(true);
  });

  it('is taken as it is where it lies there already with the right SHA-256', async () => {
    mkdirSync(join(machine.workdir, 'data'));
    writeFileSync(join(machine.workdir, 'data/x'), content);
    expect(await machine.fetch([{ from: serve(), sha256: sha256(content) }])).toMatchObject({ files: 1, fetchedBytes: 0 });
    expect(server.asked).toEqual([]);
  });

  it('leaves outputs of the machine alone, and says so before anything travels', async () => {
    mkdirSync(join(machine.workdir, 'data'));
    writeFileSync(join(machine.workdir, 'data/x'), 'made by a job');
    const { warnings } = await machine.fetch([{ from: serve() }], { outputs: ['data'] });
    expect(warnings).toEqual(['data/x is an output and was made or changed on the machine; it was left as it is there']);
    expect(server.asked).toEqual([]);
    expect(fetched().toString()).toBe('made by a job');
  });

  it('goes when it is wanted no longer, unless somebody has changed it', async () => {
    const from = serve();
    await machine.fetch([
      { from, to: 'data/x' },
      { from, to: 'data/y' },
    ]);
    writeFileSync(join(machine.workdir, 'data/y'), 'edited');
    await machine.fetch([], { gone: ['data/x', 'data/y'] });
    expect(readTree(machine.workdir)).toEqual({ 'data/': 'dir 755', 'data/y': 'file 644 edited' });
  });
});

describe('what a server may not do', () => {
  it('send more than it has announced with a range, or end without saying where', async () => {
    const from = serve();
    server.misbehave = (_, answer) => {
      if (server.asked.length === 1) return false;
      answer.writeHead(200, { etag: '"one"', 'transfer-encoding': 'chunked' });
      answer.end(Buffer.concat([content, content]));
      return true;
    };
    await expect(machine.fetch([{ from }])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('longer than its server has said') });
    server.misbehave = (_, answer) => {
      answer.useChunkedEncodingByDefault = false;
      answer.removeHeader('transfer-encoding');
      answer.writeHead(200, { connection: 'close' });
      answer.end('half');
      return true;
    };
    await expect(machine.fetch([{ from }])).rejects.toMatchObject({ message: expect.stringContaining('does not say where it ends') });
  });

  it.each([
    ['file:///etc/passwd', 'only https:// is followed'],
    ['ftp://example.org/x', 'only https:// is followed'],
    ['http://example.org/x', 'only https:// is followed'],
    ['https://169.254.169.254/computeMetadata/v1/', "the machine's own network or cloud"],
    ['https://2852039166/x', "the machine's own network or cloud"],
    ['https://[fe80::1]/x', "the machine's own network or cloud"],
    ['https://[::ffff:169.254.169.254]/x', "the machine's own network or cloud"],
  ])('lead on to %s', async (location, why) => {
    server.misbehave = (_, answer) => answer.writeHead(302, { location }).end() === answer;
    await expect(machine.fetch([{ from: serve() }])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining(why) });
    expect(server.asked).toHaveLength(1);
  });

  it('lead on without an end', async () => {
    server.misbehave = (_, answer) => answer.writeHead(302, { location: '/again' }).end() === answer;
    await expect(machine.fetch([{ from: serve() }])).rejects.toMatchObject({ message: expect.stringContaining('more than 10 redirects') });
  });

  it('have the password of another', async () => {
    await using other = await startFileServer();
    other.files.set('/pets.bin', { bytes: content, etag: null });
    server.misbehave = (_, answer) => answer.writeHead(307, { location: `${other.url}/pets.bin?key=s3cret` }).end() === answer;
    await machine.fetch([{ from: serve().replace('//', '//ada:pass@') }]);
    expect(server.headers[0]?.authorization).toBe(`Basic ${Buffer.from('ada:pass').toString('base64')}`);
    expect(other.headers.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  });

  it.each([404, 403])('go unnoticed with HTTP %s, and no secret of the address is said', async (status) => {
    server.misbehave = (_, answer) => answer.writeHead(status).end() === answer;
    const error = await machine.fetch([{ from: `${serve().replace('//', '//ada:pass@')}?sig=s3cret` }]).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: status === 404 ? 'sync' : 'not-allowed', message: expect.stringContaining(`HTTP ${status}`) });
    expect(String(error)).not.toMatch(/pass|s3cret/);
  });

  it('be busy for long: it is asked again when it says so', async () => {
    const from = serve();
    server.misbehave = (_, answer) => server.asked.length < 3 && answer.writeHead(503, { 'retry-after': '7' }).end() === answer;
    await machine.fetch([{ from }]);
    expect(machine.slept).toEqual([7000, 7000]);
  });
});

describe('where data may not go', () => {
  it.each(['../x', '/etc/x', 'a/../../x', '', 'a//b'])('to %j', async (to) => {
    await expect(machine.fetch([{ from: serve(), to }])).rejects.toMatchObject({ code: 'protocol' });
  });

  it('through a link', async () => {
    const outside = join(machine.root, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(machine.workdir, 'data'));
    await expect(machine.fetch([{ from: serve() }])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('is a link on the machine') });
    expect(readTree(outside)).toEqual({});
  });

  it('over another source', async () => {
    const from = serve();
    await expect(
      machine.fetch([
        { from, to: 'a' },
        { from, to: 'a/b' },
      ]),
    ).rejects.toMatchObject({ code: 'protocol' });
  });

  it('onto a full disk', async () => {
    server.misbehave = (_, answer) => answer.writeHead(200, { 'content-length': '900000000000000' }).write('x') !== null;
    await expect(machine.fetch([{ from: serve() }])).rejects.toMatchObject({ code: 'disk-full', message: expect.stringContaining('nothing was fetched') });
  });
});
