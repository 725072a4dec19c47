/** The machine's end of `preview`: what a push would do here. Takes no lock and writes nothing. May import protocol and `node:`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FrameError } from '../src/protocol/frame.ts';
import type { Call } from '../src/protocol/peer.ts';
import { contentId, type Entry, inParts } from '../src/protocol/sync.ts';
import { parsePushParams } from '../src/protocol/sync-parse.ts';
import type { GoneHow, PreviewHow, PreviewResult, PreviewSay } from '../src/protocol/sync-preview.ts';
import { RunnerError } from './runner-error.ts';
import { beginApplying } from './sync-apply.ts';
import { hashFile, look, openWorkdir, toFailure, type Workdir } from './sync-disk.ts';
import { type Placement, type PushPlan, planPush, wantWhole } from './sync-plan.ts';
import { recordsOfOthers } from './sync-receive.ts';
import { findContent, type Source } from './sync-reuse.ts';
import { loadState, stateSuffix } from './sync-state.ts';
import { lookAtAll } from './sync-untouched.ts';
import { receiveManifest } from './sync-wanted.ts';

export async function previewPush(call: Call, machine: { readonly root: string; readonly workdir: string }): Promise<PreviewResult> {
  try {
    const params = parsePushParams(call.params);
    const stateFile = join(machine.root, 'sync', `${params.source}${stateSuffix}`);
    const state = loadState(stateFile);
    const workdir = openWorkdir(machine.workdir);
    if (state.digest === params.digest && (await lookAtAll(state.placed, workdir, call.signal)) !== null) return { unchanged: true };
    await call.event({ type: 'manifest' } satisfies PreviewSay);
    const entries = await receiveManifest(call.parts()[Symbol.asyncIterator](), params.digest);
    const plan = await planPush(wantWhole(entries, state), params, state, workdir, call.signal);
    for (const items of inParts(placesOf(plan, entries))) await call.event({ type: 'place', items } satisfies PreviewSay);
    const sources = findContent(plan, state.placed, recordsOfOthers(stateFile), beginApplying(workdir, params.source, params.outputs, ''));
    for (const indices of inParts(await reusable(sources, workdir, call.signal))) await call.event({ type: 'reuse', indices } satisfies PreviewSay);
    for (const items of inParts(goneOf(plan, workdir))) await call.event({ type: 'gone', items } satisfies PreviewSay);
    return { unchanged: false };
  } catch (error) {
    throw error instanceof FrameError ? new RunnerError('protocol', error.message) : toFailure(error);
  }
}

function placesOf(plan: PushPlan, entries: readonly Entry[]): [number, PreviewHow][] {
  const indexOf = new Map(entries.map(({ path }, index) => [path, index]));
  const others = (paths: readonly string[], how: PreviewHow) =>
    paths.flatMap((path): [number, PreviewHow][] => {
      const index = indexOf.get(path);
      return index === undefined ? [] : [[index, how]];
    });
  return [
    ...plan.place.map((placement): [number, PreviewHow] => [placement.index, howOf(placement)]),
    ...others(
      plan.touch.map(({ path }) => path),
      'touch',
    ),
    ...others(plan.leftAlone, 'leave'),
  ];
}

function howOf({ replaces, blocked }: Placement): PreviewHow {
  if (blocked) return 'theirs';
  return replaces === null ? 'new' : 'changed';
}

/** Those whose content is really there, as the push will find out. */
async function reusable(sources: readonly Source[], workdir: Workdir, signal: AbortSignal): Promise<number[]> {
  const indices: number[] = [];
  for (const { placement, move, copies } of sources) {
    const holds = async (absolute: string) => (await hashFile(absolute, signal))?.id === contentId(placement.entry);
    let has = move !== null && look(move.from)?.fingerprint === move.fingerprint;
    for (const path of copies) has ||= workdir.reaches(path) && look(workdir.absolute(path))?.kind === 'file' && (await holds(workdir.absolute(path)));
    if (has) indices.push(placement.index);
  }
  return indices;
}

/** Deepest first, as they would go: a folder goes when nothing is left in it. */
function goneOf({ remove, aside }: PushPlan, workdir: Workdir): [string, GoneHow][] {
  const gone = new Set(aside);
  const goes = (path: string) =>
    look(workdir.absolute(path))?.kind !== 'dir' || readdirSync(workdir.absolute(path)).every((name) => gone.has(`${path}/${name}`));
  const deleted = remove.flatMap(({ path }): string[] => {
    if (!goes(path)) return [];
    gone.add(path);
    return [path];
  });
  return [...deleted.map((path): [string, GoneHow] => [path, 'delete']), ...aside.map((path): [string, GoneHow] => [path, 'aside'])];
}
