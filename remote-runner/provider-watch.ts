/** Watches for the provider taking the machine back, or stopping it for maintenance. On Compute Engine only; elsewhere nothing is asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askMetadata, type MetadataPatience, metadataPatience, metadataServer } from './metadata.ts';

export interface ProviderWatch {
  /** What whoever has a job here should know now. */
  warnings(): readonly string[];
  /** Looks at once. False also when the server does not answer. */
  isTakenBack(): Promise<boolean>;
  close(): void;
}

export interface WatchOptions {
  readonly env: NodeJS.ProcessEnv;
  /** `/`, or a tree that looks like it. */
  readonly root: string;
  /** Called once, as soon as the metadata server says so. */
  readonly onTakenBack: () => void;
  readonly patience?: MetadataPatience;
  /** Milliseconds before the next question after an answer that came at once, and after the first failure. */
  readonly calmMs?: number;
}

const longestPauseMs = 30_000;
const upcomingEveryMs = 10 * 60_000;
/** The machine goes down meanwhile: an answer that is not there by then comes too late. */
const quickLookMs = 2_000;

/** null: this machine is none of Compute Engine's. */
export function watchProvider({ env, root, onTakenBack, patience = metadataPatience, calmMs = 1_000 }: WatchOptions): ProviderWatch | null {
  const server = metadataServer(env, root);
  if (server === null) return null;
  const over = new AbortController();
  const { signal } = over;
  let takenBack = false;
  let maintenance: string | null = null;
  let upcoming: string | null = null;

  const follow = async (key: string, onValue: (text: string) => void) => {
    let last: string | null = null;
    for (let pause = calmMs; !signal.aborted && !takenBack; ) {
      const asked = Date.now();
      const waited = last !== null;
      try {
        const { text, etag } = await askMetadata(server, key, last, signal, patience);
        onValue(text);
        last = etag;
        pause = calmMs;
      } catch {
        pause = Math.min(pause * 2, longestPauseMs);
      }
      // A server that has no etags, or does not wait, is not asked without pause either.
      const answeredAtOnce = waited && Date.now() - asked < calmMs;
      if (answeredAtOnce || pause > calmMs || last === null) await sleep(pause, undefined, { signal });
    }
  };
  const pollUpcoming = async () => {
    for (; !signal.aborted; await sleep(upcomingEveryMs, undefined, { signal })) {
      try {
        upcoming = upcomingWarning((await askMetadata(server, 'instance/upcoming-maintenance?alt=json', null, signal, patience)).text);
      } catch {
        upcoming = null; // none is announced: the server says so with a failure
      }
    }
  };
  const onPreempted = (text: string) => {
    if (text !== 'TRUE' || takenBack) return;
    takenBack = true;
    onTakenBack();
  };
  const works = [
    follow('instance/preempted', onPreempted),
    follow('instance/maintenance-event', (text) => (maintenance = maintenanceWarning(text))),
    pollUpcoming(),
  ];
  for (const work of works) work.catch(() => {}); // closed

  return {
    warnings: () => [maintenance, upcoming].filter((text) => text !== null),
    async isTakenBack() {
      try {
        onPreempted((await askMetadata(server, 'instance/preempted', null, AbortSignal.timeout(quickLookMs), patience)).text);
      } catch {
        // As far as we know.
      }
      return takenBack;
    },
    close: () => over.abort(),
  };
}

/** Machines with GPUs can't be moved while they run: they are stopped, and what is on local disks is lost. */
function maintenanceWarning(event: string): string | null {
  if (event !== 'TERMINATE_ON_HOST_MAINTENANCE') return null;
  return 'The provider stops this machine for maintenance, in about an hour at the latest: save checkpoints.';
}

/** null for what is no announcement, and for texts that could not be a time. */
function upcomingWarning(text: string): string | null {
  try {
    const window =
      (JSON.parse(text) as Record<string, unknown> | null)?.['window_start_time'] ?? (JSON.parse(text) as Record<string, unknown>)['windowStartTime'];
    if (typeof window !== 'string' || !/^[\dT:.Z+-]{10,40}$/.test(window)) return null;
    return `The provider has announced maintenance of this machine's host from ${window} on: the machine is stopped then.`;
  } catch {
    return null;
  }
}
