/**
 * How the runner starts processes of its own: V8 is in no hurry to clear garbage away, tens of megabytes of it, and they are the job's;
 * and what it compiles and collects in threads beside costs some 7 MB more than where it runs. Not for Bun, which has another engine.
 */
const isBun = process.versions['bun'] !== undefined;

/** `mostMb`: one that needs more than so many megabytes for what it holds on to is broken, and ends; null: as many as it needs. */
export function engineOptions(mostMb: number | null): readonly string[] {
  if (isBun) return [];
  return ['--max-semi-space-size=1', '--optimize-for-size', '--single-threaded', ...(mostMb === null ? [] : [`--max-old-space-size=${mostMb}`])];
}
