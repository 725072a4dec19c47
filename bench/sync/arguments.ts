/** What `npm run bench -- sync ...` is asked for. */
import { type LinkName, links } from './network.ts';
import { type WorkloadName, workloads } from './workloads.ts';

export interface Chosen {
  readonly workloads: readonly WorkloadName[];
  readonly links: readonly LinkName[];
  /** Of the folders' sizes; 1: as in the titles. */
  readonly scale: number;
  /** Null: as each workload has it. */
  readonly rounds: number | null;
  /** What holds the folders; null: a place in memory that is large enough, else the computer's own for temporary files. */
  readonly folder: string | null;
}

/** `words`: names of workloads, `--link NAME`; everything where none is named. @throws Error that says what there is */
export function parseChosen(words: readonly string[], env: Readonly<Record<string, string | undefined>>): Chosen {
  const named: WorkloadName[] = [];
  const over: LinkName[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--link') {
      at += 1;
      over.push(one(words[at] ?? '', links, 'link'));
    } else named.push(one(word === "d'" ? 'd2' : word, workloads, 'workload'));
  }
  const chosen = named.length === 0 ? (Object.keys(workloads) as WorkloadName[]) : [...new Set(named)];
  return {
    workloads: chosen,
    links: over.length === 0 ? (Object.keys(links) as LinkName[]) : [...new Set(over)],
    scale: positive('BENCH_SCALE', env) ?? 1,
    rounds: positive('BENCH_ROUNDS', env),
    folder: env['BENCH_FOLDER'] ?? null,
  };
}

function one<Name extends string>(word: string, from: Readonly<Record<Name, unknown>>, what: string): Name {
  if (Object.hasOwn(from, word)) return word as Name;
  throw new Error(`There is no ${what} '${word}'. There are: ${Object.keys(from).join(', ')}.`);
}

function positive(name: string, env: Readonly<Record<string, string | undefined>>): number | null {
  const text = env[name];
  if (text === undefined || text === '') return null;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name} has to be a number above 0, not '${text}'.`);
  return value;
}
