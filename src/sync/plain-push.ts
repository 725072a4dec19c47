/** `push` to a machine where no runner can live: by rsync or SFTP, by the same rules. May import core, protocol and `node:`. */
import { GpuRunError } from '../core/errors.ts';
import { parentOf } from '../protocol/sync.ts';
import type { PlainPeer, PlainSeen } from './plain-peer.ts';
import { type PlainPlan, planPlainPush } from './plain-plan.ts';
import { loadPlainRecords, type PlainRecords, savePlainRecords } from './plain-record.ts';
import { refuseOverlap, refuseUnreadable } from './plan.ts';
import { outputPaths, type ProjectSpec, type PushTotals, sourceName, specsOf, type TreeSpec } from './push.ts';
import { type Found, type FoundFile, type Scan, scan } from './scan.ts';
import { findSurprises, type Surprise } from './surprise.ts';
import { toSyncError } from './sync-error.ts';

export interface PlainPushOptions {
  readonly peer: PlainPeer;
  /** Absolute: of `plainRecordFile`. */
  readonly recordFile: string;
  /** Absolute, on the machine: where what it made or changed is moved. */
  readonly aside: string;
  readonly outputs: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly onSurprise: (surprise: Surprise) => void;
}

interface Prepared {
  readonly spec: TreeSpec;
  readonly scanned: Scan;
  readonly plan: PlainPlan;
}

/** Compares by size and time, in whole seconds: content is not read to be compared. @throws GpuRunError as `pushProject` */
export async function pushPlainly(project: ProjectSpec, options: PlainPushOptions): Promise<Omit<PushTotals, 'unchanged'>> {
  const began = performance.now();
  const { peer, recordFile, signal } = options;
  try {
    const outputs = outputPaths(options.outputs);
    const scans = specsOf(project).map((spec) => ({ spec, scanned: scanWhole(spec) }));
    const seen = await peer.list(signal);
    let records = loadPlainRecords(recordFile);
    const prepared = scans.map(({ spec, scanned }): Prepared => {
      refuseBadParents(spec, seen, peer.workdir);
      const record = records[sourceName(spec.to)] ?? new Map();
      return { spec, scanned, plan: planPlainPush({ found: scanned.found, seen, record, outputs, others: spec.others }) };
    });
    const total = prepared.reduce((sum, { plan }) => sum + bytesOf(plan.send), 0);
    const warnings: string[] = [];
    let done = 0;
    let sentBytes = 0;
    options.onProgress(0, total);
    for (const { spec, scanned, plan } of prepared) {
      if (spec.ignore !== null) for (const surprise of findSurprises(filesOf(plan.send))) options.onSurprise(surprise);
      records = noted(recordFile, records, spec, plan.during);
      await peer.change([...parentsOf(spec, seen), ...plan.changes], options.aside, signal);
      const onBytes = (bytes: number) => {
        done += bytes;
        options.onProgress(Math.min(done, total), total);
      };
      const sent = await peer.send(spec, plan.send, { signal, onBytes });
      sentBytes += sent.bytes;
      records = noted(recordFile, records, spec, plan.after);
      warnings.push(...scanned.warnings, ...warningsOf(plan, sent, options.aside));
    }
    const files = scans.flatMap(({ scanned }) => filesOf(scanned.found));
    return { files: files.length, bytes: bytesOf(files), sentBytes, ms: performance.now() - began, warnings };
  } catch (error) {
    throw toSyncError(error, signal);
  }
}

/** @throws GpuRunError when a push of it can't be */
export function scanWhole(spec: TreeSpec): Scan {
  const scanned = scan(spec);
  refuseUnreadable(scanned.unreadable);
  if (spec.to === '') refuseOverlap(scanned.found, spec.others);
  return scanned;
}

function noted(file: string, records: PlainRecords, spec: TreeSpec, record: PlainPlan['after']): PlainRecords {
  const next = { ...records, [sourceName(spec.to)]: record };
  savePlainRecords(file, next);
  return next;
}

function refuseBadParents({ to }: TreeSpec, seen: ReadonlyMap<string, PlainSeen>, workdir: string): void {
  for (let at = parentOf(to); at !== ''; at = parentOf(at)) {
    const kind = seen.get(at)?.kind ?? 'dir';
    if (kind === 'dir') continue;
    const what = kind === 'link' ? 'a link' : 'no folder';
    throw new GpuRunError('sync', `${workdir}/${at} is ${what} on the machine, and a source belongs below it.`, {
      hints: ['Remove it there, or choose another `to` for the data.'],
    });
  }
}

function parentsOf({ to }: TreeSpec, seen: ReadonlyMap<string, PlainSeen>): { readonly op: 'mkdir'; readonly path: string }[] {
  const parent = parentOf(to);
  return parent === '' || seen.has(parent) ? [] : [{ op: 'mkdir', path: parent }];
}

function filesOf(found: readonly Found[]): FoundFile[] {
  return found.filter((entry): entry is FoundFile => entry.kind === 'file');
}

function bytesOf(found: readonly Found[]): number {
  return filesOf(found).reduce((sum, { size }) => sum + size, 0);
}

/** So many paths are named; the others are counted. */
const namedAtMost = 5;

function warningsOf(plan: PlainPlan, { torn, gone }: { readonly torn: readonly string[]; readonly gone: readonly string[] }, aside: string): string[] {
  const some = (paths: readonly string[]) =>
    `${paths.slice(0, namedAtMost).join(', ')}${paths.length > namedAtMost ? ` and ${paths.length - namedAtMost} more` : ''}`;
  return [
    ...(plan.aside.length === 0 ? [] : [`made or changed on the machine, and moved to ${aside} there: ${some(plan.aside)}`]),
    ...(plan.leftAlone.length === 0 ? [] : [`outputs that differ on the machine, and were left as they are there: ${some(plan.leftAlone)}`]),
    ...(torn.length === 0 ? [] : [`written to while being sent, so that the machine may have parts of different ages: ${some(torn)}`]),
    ...(gone.length === 0 ? [] : [`vanished before it could be sent: ${some(gone)}`]),
  ];
}
