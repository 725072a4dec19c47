/** What a push wants to be here: told as a whole, or by what changed. May import protocol and `node:`. */
import { createHash } from 'node:crypto';
import type { Call, Part } from '../src/protocol/peer.ts';
import type { Entry, PushAsk, PushParams } from '../src/protocol/sync.ts';
import { parseEntry, parseFields, parseList, TreeCheck } from '../src/protocol/sync-parse.ts';
import { digestOf } from '../src/protocol/tree-digest.ts';
import { unpacks } from './pack.ts';
import { RunnerError } from './runner-error.ts';
import { applyChanges, receiveChanges, type Wanted } from './sync-changes.ts';
import { wantWhole } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';

/** By what changed, where that can be; else the whole manifest is asked for. */
export async function receiveWanted(call: Call, parts: AsyncIterator<Part>, params: PushParams, isUntouched: boolean, state: SyncState): Promise<Wanted> {
  if (params.base !== null) {
    const changes = await receiveChanges(parts);
    const wanted = isUntouched ? applyChanges(changes, state.placed, params.digest) : null;
    if (wanted !== null) {
      await call.event({ type: 'taken', unpacks } satisfies PushAsk);
      return wanted;
    }
  }
  await call.event({ type: 'manifest', unpacks } satisfies PushAsk);
  return wantWhole(await receiveManifest(parts, params.digest), state);
}

/** @throws RunnerError `protocol` when it is not the one that was announced */
export async function receiveManifest(parts: AsyncIterator<Part>, digest: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  const check = new TreeCheck();
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true || part.kind !== 'event') throw new RunnerError('protocol', 'the push ended before its manifest');
    const fields = parseFields(part.value);
    if (fields['type'] === 'entries-end') break;
    for (const entry of parseList(fields['entries'], parseEntry)) {
      check.add(entry);
      entries.push(entry);
    }
  }
  const found = digestOf(entries, (text) => createHash('sha256').update(text).digest());
  if (found !== digest) throw new RunnerError('protocol', 'the manifest is not the one that was announced');
  return entries;
}
