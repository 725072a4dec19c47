import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { pullOutputs } from '../../../src/sync/pull.ts';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('pull-unreadable');
});
afterEach(() => lab.remove());

const nobody = 65_534;

/** Root may read everything: as root, the pull runs as somebody else. */
async function unprivileged<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return run();
  for (const folder of [lab.path, lab.source]) chmodSync(folder, 0o777);
  process.seteuid?.(nobody);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}

it.each([0o444, 0o000])('a folder of mode %o is named, and all the rest is pulled', async (mode) => {
  writeTree(lab.machine.workdir, { 'runs/bad/x': 'x', 'runs/ok': 'fine' });
  const bad = join(lab.machine.workdir, 'runs/bad');
  chmodSync(bad, mode);
  try {
    await expect(unprivileged(() => lab.pull(['runs', 'runs/bad/x']))).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('runs/bad') });
    await expect(unprivileged(() => lab.pull(['runs/bad/x']))).rejects.toMatchObject({ message: expect.stringContaining('1 output can') });
  } finally {
    chmodSync(bad, 0o755);
  }
  expect(readTree(lab.source)).toMatchObject({ 'runs/ok': 'file 644 fine' });
});

it.each(['', 'same'])('a file that becomes a folder while it is pulled is a warning (here before: %j)', async (before) => {
  writeTree(lab.machine.workdir, { a: 'same', b: 'b' });
  if (before !== '') writeTree(lab.source, { a: before });
  const wire = joinPeers(lab.machine);
  const open: typeof wire.open = (op, params) => {
    const call = wire.open(op, params);
    const event = call.event.bind(call);
    return Object.assign(call, {
      event: (value: unknown) => {
        rmSync(join(lab.machine.workdir, 'a'), { recursive: true, force: true });
        mkdirSync(join(lab.machine.workdir, 'a'));
        return event(value);
      },
    });
  };
  const warnings: string[] = [];
  const files = await pullOutputs({ open, paths: ['.'], into: lab.source, onWarning: (text) => warnings.push(text) });
  expect(files.map(({ path }) => path)).toEqual(['b']);
  expect(warnings).toEqual([expect.stringContaining('a vanished')]);
});
