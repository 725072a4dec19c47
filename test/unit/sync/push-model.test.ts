/** Any sequence of edits here and there, pushes and cut connections: in the end both sides are equal and nothing made there is lost. */
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

type Step =
  | { do: 'write'; path: string; text: string; times: number; mode: number }
  | { do: 'folder'; path: string; mode: number }
  | { do: 'link'; path: string; target: string }
  | { do: 'remove'; path: string }
  | { do: 'rename'; path: string; to: string }
  | { do: 'chmod'; path: string; mode: number }
  | { do: 'made-there'; at: number }
  | { do: 'changed-there'; at: number }
  | { do: 'removed-there'; at: number }
  | { do: 'push' }
  | { do: 'cut'; after: number };

const name = fc.constantFrom('a', 'b', 'c', ' sp ace', 'new\nline', '-rf', 'é', 'e\u0301', 'A', '.hidden', '日本', 'back\\slash', '*');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const text = fc.oneof(fc.constantFrom('', 'same', 'x'), fc.string({ maxLength: 20 }));
const mode = fc.constantFrom(0o644, 0o755, 0o600, 0o444);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), path, text, times: fc.constantFrom(1, 1, 1, 100_000), mode }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('folder' as const), path, mode: fc.constantFrom(0o755, 0o700, 0o555) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('link' as const), path, target: fc.constantFrom('a', '../b', '/etc', 'nowhere', '.') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rename' as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('chmod' as const), path, mode }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('made-there' as const), at: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('changed-there' as const), at: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('removed-there' as const), at: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.constant({ do: 'push' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), after: fc.oneof(fc.nat(6_000), fc.nat(700_000)) }) },
);

const madePrefix = 'made-there-';

/** What the machine wrote, one text a file. */
async function run(steps: readonly Step[], lab: Lab): Promise<string[]> {
  const unique: string[] = [];
  const here = (inside: string) => join(lab.source, inside);
  const there = (inside: string) => join(lab.machine.workdir, inside);
  const pickThere = (at: number, wanted: (path: string) => boolean) => {
    const paths = Object.keys(readTree(lab.machine.workdir)).filter(wanted);
    return paths.length === 0 ? null : paths[at % paths.length]!;
  };
  /** A file as the push left it: what the machine wrote stays its last word. */
  const isUntouched = (inside: string) =>
    !inside.endsWith('/') && lstatSync(there(inside)).isFile() && !readFileSync(there(inside), 'utf8').endsWith(' on the machine');

  const edits: { [Kind in Step['do']]: (step: Extract<Step, { do: Kind }>) => void | Promise<void> } = {
    write: (step) => {
      mkdirSync(dirname(here(step.path)), { recursive: true });
      if (lstatSync(here(step.path), { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(here(step.path));
      writeFileSync(here(step.path), step.text.repeat(step.times));
      chmodSync(here(step.path), step.mode);
    },
    folder: (step) => {
      mkdirSync(here(step.path), { recursive: true });
      if (!lstatSync(here(step.path)).isSymbolicLink()) chmodSync(here(step.path), step.mode);
    },
    link: (step) => {
      mkdirSync(dirname(here(step.path)), { recursive: true });
      symlinkSync(step.target, here(step.path));
    },
    remove: (step) => rmSync(here(step.path), { recursive: true, force: true }),
    rename: (step) => {
      mkdirSync(dirname(here(step.to)), { recursive: true });
      renameSync(here(step.path), here(step.to));
    },
    chmod: (step) => {
      if (lstatSync(here(step.path)).isFile()) chmodSync(here(step.path), step.mode);
    },
    'made-there': (step) => {
      const folder = step.at % 4 === 0 ? '' : (pickThere(step.at, (inside) => inside.endsWith('/')) ?? '');
      const content = `made ${unique.length} on the machine`;
      writeFileSync(there(`${folder}${madePrefix}${unique.length}`), content, { flag: 'wx' });
      unique.push(content);
    },
    'changed-there': (step) => {
      const file = pickThere(step.at, isUntouched);
      if (file === null) return;
      const content = `changed ${unique.length} on the machine`;
      writeFileSync(there(file), content);
      unique.push(content);
    },
    'removed-there': (step) => {
      const file = pickThere(step.at, isUntouched);
      if (file !== null) rmSync(there(file));
    },
    push: async () => void (await lab.push()),
    cut: async (step) => {
      await lab.push({ wire: joinPeers(lab.machine, step.after) }).catch((error: { code?: string }) => expect(error.code).toBe('connection'));
    },
  };
  for (const step of steps) {
    try {
      await (edits[step.do] as (step: Step) => void | Promise<void>)(step);
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error; // the file system refused: a file is where a folder is needed
    }
  }
  return unique;
}

/** Without what the machine made, and without folders that are there only for that. */
function withoutMade(tree: Record<string, string>, source: Record<string, string>): Record<string, string> {
  const made = Object.keys(tree).filter((inside) => inside.includes(madePrefix));
  return Object.fromEntries(
    Object.entries(tree).filter(
      ([inside]) => !inside.includes(madePrefix) && (inside in source || !inside.endsWith('/') || !made.some((each) => each.startsWith(inside))),
    ),
  );
}

it('ends with equal trees, and with everything that the machine made', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const lab = makeLab('model');
      try {
        const unique = await run(steps, lab);
        await lab.push();
        const source = readTree(lab.source);
        expect(withoutMade(readTree(lab.machine.workdir), source)).toEqual(source);
        const everywhere = Object.values(readTree(lab.machine.root, (inside) => inside === 'sync'));
        for (const content of unique) expect(everywhere.filter((found) => found.endsWith(content)).length).toBeGreaterThan(0);
        expect(Object.keys(readTree(lab.machine.root)).filter((inside) => inside.includes('.gpu-run-tmp-'))).toEqual([]);
        expect((await lab.push()).turns).toBe(2);
      } finally {
        lab.remove();
      }
    }),
    { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 150 : 50 }, // all of them in `npm run test:lab`
  );
}, 120_000);
