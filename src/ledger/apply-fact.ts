/** What a fact makes of a machine's entry. Pure: the ledger's facts, applied in order, give its entries again. */
import type { Access } from '../core/machine.ts';
import type { FoundMachine, MachineEntry, MachineFact, MachineIntent } from './ledger.ts';

/** An entry without the one part that facts do not touch: who is changing it now. */
export type MachineRecord = Omit<MachineEntry, 'holder'>;

export function recordOf(intent: Omit<MachineIntent, 'holder'>, now: number): MachineRecord {
  return {
    ...intent,
    state: 'intent',
    ref: intent.ref ?? null,
    access: null,
    createdAt: now,
    readyAt: null,
    endedAt: null,
    endReason: null,
    asOf: now,
    leftovers: [],
  };
}

export function recordOfFound({ ref, access, ...intent }: FoundMachine, now: number): MachineRecord {
  const { madeAt } = intent.adopted;
  return { ...recordOf({ ...intent, ref }, madeAt), state: 'ready', access, launchedAt: Math.max(madeAt, now), readyAt: madeAt, asOf: now };
}

/**
 * A machine that is ending never becomes ready again, however late the news comes, but what the news says about
 * where it is (`ref`, `access`) is kept: it is needed to end it. The first reason to end it is the one that stays. Of what was fetched the last may be booked after the end.
 */
export function applyFact(record: MachineRecord, fact: MachineFact, now: number): MachineRecord {
  if (record.state === 'gone' && fact.fact !== 'pulled') return fact.fact === 'gone' ? { ...record, leftovers: fact.leftovers } : record;
  switch (fact.fact) {
    case 'launched':
      return { ...record, ref: fact.ref, launchedAt: record.launchedAt ?? now, state: record.state === 'intent' ? 'launched' : record.state, asOf: now };
    case 'ready':
      return { ...record, access: fact.access, readyAt: record.readyAt ?? now, state: record.state === 'ending' ? 'ending' : 'ready', asOf: now };
    case 'seen':
      return { ...record, access: fact.access === undefined ? record.access : pinned(record, fact.access), asOf: now };
    case 'begun':
      return { ...record, begunAt: fact.at };
    case 'ending':
      return { ...record, state: 'ending', endReason: record.endReason ?? fact.reason };
    case 'gone':
      return { ...record, state: 'gone', endedAt: fact.at ?? now, endReason: record.endReason ?? fact.reason, leftovers: fact.leftovers, asOf: now };
    case 'never-made':
      if (record.state !== 'intent') return record; // it was seen to exist
      return { ...record, state: 'gone', endedAt: record.createdAt, endReason: fact.reason, asOf: now, neverMade: fact.code };
    case 'deadline':
      return { ...record, deadline: fact.deadline };
    case 'armed':
      return { ...record, watchdog: fact.watchdog };
    case 'pulled': {
      const of = fact.job ?? '';
      return { ...record, pulled: { ...record.pulled, [of]: (record.pulled?.[of] ?? 0) + fact.bytes } };
    }
    case 'kept':
      return keptBy(record);
  }
}

function keptBy(record: MachineRecord): MachineRecord {
  return record.forOneJob ? { ...record, forOneJob: false, kept: true } : record;
}

/** Host keys that a machine got ready with are its own for good: news of its address never changes whom we trust. */
function pinned({ access, readyAt }: MachineRecord, news: Access): Access {
  return readyAt !== null && access?.kind === 'own' && news.kind === 'own' ? { ...news, hostKeys: access.hostKeys } : news;
}
