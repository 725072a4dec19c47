/** What a push by rsync or SFTP would do. May import core and protocol. */
import type { SourcePreview } from './dry-run.ts';
import type { PlainSeen } from './plain-peer.ts';
import { type PlainPlan, planPlainPush } from './plain-plan.ts';
import { type PlainPushOptions, scanWhole } from './plain-push.ts';
import { loadPlainRecords } from './plain-record.ts';
import { outputPaths, type ProjectSpec, sourceName, specsOf } from './push.ts';
import type { Found } from './scan.ts';
import { listSkipped } from './skipped.ts';
import { toSyncError } from './sync-error.ts';

/** @throws GpuRunError as `pushPlainly` */
export async function previewPlainly(
  project: ProjectSpec,
  { peer, recordFile, outputs, signal }: Pick<PlainPushOptions, 'peer' | 'recordFile' | 'outputs' | 'signal'>,
): Promise<readonly SourcePreview[]> {
  try {
    const records = loadPlainRecords(recordFile);
    const seen = await peer.list(signal);
    const previews: SourcePreview[] = [];
    for (const spec of specsOf(project)) {
      const { found, warnings } = scanWhole(spec);
      const record = records[sourceName(spec.to)] ?? new Map();
      const plan = planPlainPush({ found, seen, record, outputs: outputPaths(outputs), others: spec.others });
      const files = found.filter((entry) => entry.kind === 'file');
      const bytes = files.reduce((sum, { size }) => sum + size, 0);
      const skipped = await listSkipped(spec, signal);
      previews.push({ source: spec.to === '' ? 'code' : spec.to, from: spec.from, files: files.length, bytes, ...told(found, plan, seen), skipped, warnings });
    }
    return previews;
  } catch (error) {
    throw toSyncError(error, signal);
  }
}

function told(
  found: readonly Found[],
  { send, leftAlone, changes, aside }: PlainPlan,
  seen: ReadonlyMap<string, PlainSeen>,
): Pick<SourcePreview, 'planned' | 'gone'> {
  const wanted = new Set(found.map(({ path }) => path));
  const left = new Set(leftAlone);
  const moved = new Set(aside);
  const bytesOf = (entry: Found) => (entry.kind === 'file' ? entry.size : 0);
  const sent = send.map((entry) => {
    const how = moved.has(entry.path) ? ('theirs' as const) : seen.has(entry.path) ? ('changed' as const) : ('new' as const);
    return { path: entry.path, kind: entry.kind, bytes: bytesOf(entry), how, reused: false };
  });
  const stay = found
    .filter(({ path }) => left.has(path))
    .map((entry) => ({ path: entry.path, kind: entry.kind, bytes: bytesOf(entry), how: 'leave' as const, reused: false }));
  const gone = changes
    .filter(({ path }) => !wanted.has(path))
    .map(({ op, path }) => ({ path, how: op === 'aside' ? ('aside' as const) : ('delete' as const) }));
  return { planned: [...sent, ...stay], gone };
}
