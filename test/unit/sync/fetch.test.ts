import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchData, removeFetched } from '../../../src/sync/fetch.ts';
import { pushProject } from '../../../src/sync/push.ts';
import { type FileServer, startFileServer } from '../../support/file-server.ts';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
let server: FileServer;
beforeEach(async () => {
  lab = makeLab('fetch');
  server = await startFileServer();
  server.files.set('/pets.bin', { bytes: Buffer.from('meow'), etag: '"one"' });
});
afterEach(async () => {
  lab.remove();
  await server[Symbol.asyncDispose]();
});

const progress: [number, number | null][] = [];
function options() {
  progress.length = 0;
  return {
    open: joinPeers(lab.machine).open,
    memory: join(lab.path, 'memory', 'm1.json'),
    outputs: [],
    signal: new AbortController().signal,
    onProgress: (done: number, total: number | null) => void progress.push([done, total]),
  };
}
const source = (to = 'data/x', path = '/pets.bin') => ({ from: `${server.url}${path}`, to, sha256: null });

async function pushBeside(fetched: string[], data: { from: string; to: string }[] = []) {
  const project = { code: lab.source, exclude: [], data, fetched, globalExcludes: null, never: [] };
  return await pushProject(project, { open: joinPeers(lab.machine).open, cacheFolder: lab.cacheFolder, outputs: [] });
}

describe('data that the machine fetches', () => {
  it('lies beside what is pushed: code neither goes there nor takes it away', async () => {
    writeTree(lab.source, { 'train.py': 'p', 'data/README': 'r' });
    await pushBeside(['data/x']);
    expect(await fetchData([source()], options())).toMatchObject({ files: 1, bytes: 4, fetchedBytes: 4, warnings: [] });
    expect(progress.at(0)?.[1]).toBe(4);
    await pushBeside(['data/x']);
    expect(readTree(join(lab.machine.workdir, 'data'))).toEqual({ README: 'file 644 r', x: 'file 644 meow' });
    writeTree(lab.source, { 'data/x': 'code' });
    await expect(pushBeside(['data/x'])).rejects.toMatchObject({ code: 'bad-input', message: "The code has data/x where the data target 'data/x' belongs." });
    await expect(pushBeside(['data/x'], [{ from: lab.source, to: 'data' }])).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('goes when it leaves the config, and makes room for data of this computer', async () => {
    expect(await removeFetched([], options())).toEqual([]);
    await fetchData([source('data/x'), source('data/y')], options());
    await removeFetched(['data/y'], options());
    expect(readTree(lab.machine.workdir)).toEqual({ 'data/': 'dir 755', 'data/y': 'file 644 meow' });
    await removeFetched([], options());
    expect(existsSync(options().memory)).toBe(false);
    const from = join(lab.path, 'own');
    writeFileSync(from, 'wuff');
    expect((await pushBeside([], [{ from, to: 'data/y' }])).warnings).toEqual([]);
    expect(readFileSync(join(lab.machine.workdir, 'data/y'), 'utf8')).toBe('wuff');
  });

  it('is no output, unless a job has changed it', async () => {
    await fetchData([source('data/x'), source('data/y')], options());
    writeFileSync(join(lab.machine.workdir, 'data/y'), 'edited');
    const { files } = await lab.pull(['data'], join(lab.path, 'source'));
    expect(files.map(({ path }) => path)).toEqual(['data/y']);
  });

  it('fails in the words of the machine, with what to do, and without secrets', async () => {
    const error = await fetchData([source('data/x', '/gone.bin?sig=s3cret')], options()).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'sync', message: `There is no ${server.url}/gone.bin?...: HTTP 404.`, hints: ['Check `from` in gpu-run.yaml.'] });
  });

  it('ends when it is interrupted', async () => {
    const stop = new AbortController();
    server.misbehave = () => {
      stop.abort();
      return true;
    };
    await expect(fetchData([source()], { ...options(), signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' });
    expect(readTree(lab.machine.workdir)).toEqual({});
  });
});
