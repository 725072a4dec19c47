import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree, writeTree } from '../../support/tree.ts';
import { beforeBlocks, joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('push');
});
afterEach(() => lab.remove());

const target = () => readTree(lab.machine.workdir);
const source = () => readTree(lab.source);
const remote = (path: string) => join(lab.machine.workdir, path);
const local = (path: string) => join(lab.source, path);

describe('pushTree when things happen meanwhile', () => {
  it('a lost or damaged state deletes nothing and sends nothing again', async () => {
    writeTree(lab.source, { a: 'a', b: 'b' });
    await lab.push();
    writeFileSync(join(lab.machine.root, 'sync', 'code.state'), 'gpurunF1{"version":1,"digest":');
    rmSync(local('b'));
    const { sentBytes } = await lab.push();
    expect(sentBytes).toBe(0);
    expect(Object.keys(target())).toEqual(['a', 'b']);
  });

  it('leaves no unfinished file behind, and clears away one that a killed push left', async () => {
    writeTree(lab.source, { 'd/a': 'a'.repeat(1_000_000) });
    const wire = joinPeers(lab.machine, 500_000);
    await expect(lab.push({ wire })).rejects.toMatchObject({ code: 'connection' });
    expect(target()).toEqual({ 'd/': 'dir 700' });
    writeFileSync(remote('d/.gpu-run-tmp-code'), 'half');
    await lab.push();
    expect(target()).toEqual(source());
  });

  it('a killed push keeps no folder from being removed', async () => {
    writeTree(lab.source, { 'd/a': 'a'.repeat(1_000_000), b: 'b' });
    await expect(lab.push({ wire: joinPeers(lab.machine, 500_000) })).rejects.toMatchObject({ code: 'connection' });
    writeFileSync(remote('d/.gpu-run-tmp-code'), 'half');
    rmSync(local('d'), { recursive: true });
    await lab.push();
    expect(Object.keys(target())).toEqual(['b']);
  });

  it('a file of the machine in the place of a folder is moved aside', async () => {
    writeTree(lab.source, { 'd/a': 'a' });
    writeTree(lab.machine.workdir, { d: 'theirs' });
    const { warnings } = await lab.push();
    expect(target()).toEqual(source());
    expect(readFileSync(warnings[0]!.split(' moved to ')[1]!, 'utf8')).toBe('theirs');
  });

  it("tells where the machine's files went also when the connection ends at the very last moment", async () => {
    const edit = (text: string) => {
      writeFileSync(remote('a'), `machine ${text}`);
      writeFileSync(local('a'), text);
    };
    writeTree(lab.source, { a: 'aaaa' });
    await lab.push();
    edit('full');
    const wire = joinPeers(lab.machine);
    await lab.push({ wire });
    const total = wire.traffic.up + wire.traffic.down;
    for (let missing = 1; missing < 1500; missing += 60) {
      edit(`${missing + 1000}`);
      const cut = await lab.push({ wire: joinPeers(lab.machine, total - missing) }).then(
        ({ warnings }) => warnings,
        () => [],
      );
      const { warnings } = await lab.push();
      expect([...cut, ...warnings].length, `${missing} bytes missing`).toBeGreaterThan(0);
      expect((await lab.push()).warnings).toEqual([]);
    }
  });

  it('sends neither .git nor what must never be sent', async () => {
    writeTree(lab.source, { '.git/HEAD': 'ref: refs/heads/main\n', '.git/objects/': null, a: 'a', 'home/keys/id': 'secret', home2: '' });
    await lab.push({ never: [local('home')] });
    expect(Object.keys(target())).toEqual(['a', 'home2']);
  });

  it('a growing file arrives as it was at some moment, or with a warning', async () => {
    writeTree(lab.source, { log: 'start\n'.repeat(200_000) });
    const wire = beforeBlocks(joinPeers(lab.machine), () => appendFileSync(local('log'), 'more\n'));
    const { warnings } = await lab.push({ wire });
    expect(warnings).toEqual([expect.stringContaining('log was being written to')]);
    expect(source()['log']!.startsWith(target()['log']!)).toBe(true);
    await lab.push();
    expect(target()).toEqual(source());
  });

  it('reads a file again that changed once while it was read', async () => {
    const start = 'start\n'.repeat(200_000);
    writeTree(lab.source, { log: start });
    let changes = 0;
    const wire = beforeBlocks(joinPeers(lab.machine), () => {
      if (changes === 0) appendFileSync(local('log'), 'more\n');
      changes += 1;
    });
    expect((await lab.push({ wire })).warnings).toEqual([]);
    expect(readFileSync(remote('log'), 'utf8')).toBe(`${start}more\n`);
  });

  it('a file that vanishes between the scan and its turn is only a warning', async () => {
    writeTree(lab.source, { a: 'a', b: 'b' });
    const wire = joinPeers(lab.machine);
    const open: typeof wire.open = (op, params) => {
      rmSync(local('b'));
      return wire.open(op, params);
    };
    const { warnings } = await lab.push({ wire: { ...wire, open } });
    expect(warnings).toEqual(['b vanished before it could be sent']);
    await lab.push();
    expect(target()).toEqual(source());
  });

  it('can be aborted, and goes on later', async () => {
    writeTree(lab.source, { a: 'a'.repeat(100), b: 'b' });
    const abort = new AbortController();
    const wire = joinPeers(lab.machine);
    const open: typeof wire.open = (op, params) => {
      const call = wire.open(op, params);
      return Object.assign(call, { block: async () => abort.abort(), packed: async () => abort.abort() });
    };
    await expect(lab.push({ wire: { ...wire, open }, signal: abort.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await lab.push();
    expect(target()).toEqual(source());
  });
});
