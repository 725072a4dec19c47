/** What `src/ledger/ledger.ts` promises, for any implementation within one process. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import { GpuRunError } from '../../src/core/errors.ts';
import type { JobEntry } from '../../src/core/job.ts';
import type { Access, MachineRef } from '../../src/core/machine.ts';
import { identifyProcess, ownIdentity } from '../../src/core/process-identity.ts';
import type { Ledger, MachineFact } from '../../src/ledger/ledger.ts';
import { someIntent } from './ledger-intent.ts';

const self = ownIdentity();
/** A process that can't be alive: same pid as ours, another start. */
const dead = { pid: process.pid, started: 'before the last boot' };
const access: Access = { kind: 'own', host: '127.0.0.1', port: 4022, user: 'me', hostKeys: ['ssh-ed25519 AAAA'] };
const ref: MachineRef = { provider: 'local', id: 'cats-1', name: 'cats', labels: { a: 'b' }, createdAt: 5, data: { pid: 7 } };

function someJob(id: string, changes: Partial<JobEntry> = {}): JobEntry {
  const empty = { state: 'queued', end: null, attempts: 1, startedAt: null, endedAt: null, user: 'me', branch: null } as const;
  return { id, machineId: 'cats-1', machineName: 'cats', command: 'true', createdAt: 1, asOf: 1, ...empty, ...changes };
}

/** `open` gives the same ledger each time it is called within one test. */
export function ledgerContract(name: string, open: (clock: Clock) => Ledger): void {
  describe(`ledger contract: ${name}`, () => {
    let now: number;
    let ledger: Ledger;
    const clock: Clock = { now: () => now, sleep: () => Promise.resolve() };

    beforeEach(() => {
      now = 1_000;
      ledger = open(clock);
      return () => ledger.close();
    });

    const opened = (id = 'cats-1', machineName = 'cats') => ledger.open({ ...someIntent(id, machineName), holder: self }).entry;
    const noteAt = (at: number, fact: MachineFact) => {
      now = at;
      return ledger.note('cats-1', fact);
    };
    const refusedWith = (act: () => unknown): unknown => {
      try {
        return act();
      } catch (error) {
        return error instanceof GpuRunError ? error.code : error;
      }
    };

    describe('open', () => {
      it('keeps the whole intent, as of now', () => {
        const { holder, ...intent } = { ...someIntent('cats-1', 'cats'), holder: self };
        const times = { createdAt: 1_000, asOf: 1_000, readyAt: null, endedAt: null };
        const expected = { ...intent, ...times, state: 'intent', ref: null, access: null, endReason: null, leftovers: [], holder };
        expect(ledger.open({ ...intent, holder })).toEqual({ opened: true, entry: expected });
        expect(ledger.get('cats-1')).toEqual(expected);
      });

      it('gives back the living machine of that name instead, unchanged', () => {
        const first = opened();
        now = 2_000;
        expect(ledger.open({ ...someIntent('cats-2', 'cats'), holder: dead })).toEqual({ opened: false, entry: first });
        expect(ledger.get('cats-2')).toBeNull();
      });

      it('takes the name again once the machine is gone, and not before', () => {
        opened();
        for (const fact of [
          { fact: 'ready', access },
          { fact: 'ending', reason: 'down' },
        ] as const) {
          ledger.note('cats-1', fact);
          expect(ledger.open(someIntent('cats-2', 'cats')).opened).toBe(false);
        }
        ledger.note('cats-1', { fact: 'gone', reason: 'down', leftovers: [] });
        expect(ledger.open(someIntent('cats-2', 'cats')).opened).toBe(true);
      });

      it('lets machines of other names live side by side', () => {
        opened('cats-1', 'cats');
        expect(opened('dogs-1', 'dogs').name).toBe('dogs');
      });

      it('is there for a ledger that is opened afterwards', () => {
        const entry = opened();
        ledger.close();
        ledger = open(clock);
        expect(ledger.get('cats-1')).toEqual(entry);
      });
    });

    describe('note', () => {
      it('goes from intent to gone, fact by fact', () => {
        const entry = opened();
        const launched = { ...entry, state: 'launched', ref, launchedAt: 2_000, asOf: 2_000 };
        expect(noteAt(2_000, { fact: 'launched', ref })).toEqual(launched);
        const seen = { ...launched, access, asOf: 3_000 };
        expect(noteAt(3_000, { fact: 'seen', access })).toEqual(seen);
        const ready = { ...seen, state: 'ready', readyAt: 4_000, asOf: 4_000 };
        expect(noteAt(4_000, { fact: 'ready', access })).toEqual(ready);
        const seenAgain = { ...ready, asOf: 5_000 };
        expect(noteAt(5_000, { fact: 'seen' })).toEqual(seenAgain);
        const extended = { ...seenAgain, deadline: 99_000 };
        expect(noteAt(6_000, { fact: 'deadline', deadline: 99_000 })).toEqual(extended);
        const kept = { ...extended, forOneJob: false, kept: true };
        expect(noteAt(7_000, { fact: 'kept' })).toEqual(kept);
        const ending = { ...kept, state: 'ending', endReason: 'down' };
        expect(noteAt(8_000, { fact: 'ending', reason: 'down' })).toEqual(ending);
        const gone = { ...ending, state: 'gone', endedAt: 9_000, asOf: 9_000, leftovers: ['a disk'] };
        expect(noteAt(9_000, { fact: 'gone', reason: 'down', leftovers: ['a disk'] })).toEqual(gone);
        expect(ledger.get('cats-1')).toEqual(gone);
      });

      it('takes the time of the end where it is known better than now', () => {
        opened();
        expect(noteAt(9_000, { fact: 'gone', reason: 'deadline', at: 5_500, leftovers: [] })).toMatchObject({ endedAt: 5_500, endReason: 'deadline' });
      });

      it('changes nothing but leftovers, and what was fetched, of a machine that is gone', () => {
        opened();
        const gone = noteAt(2_000, { fact: 'gone', reason: 'down', leftovers: ['a disk'] });
        const late: MachineFact[] = [
          { fact: 'launched', ref },
          { fact: 'ready', access },
          { fact: 'seen', access },
          { fact: 'ending', reason: 'x' },
          { fact: 'deadline', deadline: 1 },
          { fact: 'kept' },
        ];
        for (const fact of late) expect(noteAt(3_000, fact)).toEqual(gone);
        expect(noteAt(4_000, { fact: 'gone', reason: 'again', at: 1, leftovers: [] })).toEqual({ ...gone, leftovers: [] });
        expect(noteAt(5_000, { fact: 'pulled', bytes: 7, job: null })).toEqual({ ...gone, leftovers: [], pulled: { '': 7 } });
      });

      it('keeps where a machine will be found from the start, until the provider has told', () => {
        const expected: MachineRef = { ...ref, createdAt: null, data: {} };
        expect(ledger.open({ ...someIntent('cats-1', 'cats'), ref: expected }).entry).toMatchObject({ state: 'intent', ref: expected });
        expect(ledger.note('cats-1', { fact: 'launched', ref })).toMatchObject({ state: 'launched', ref });
      });

      it('knows of orders that were refused: no such machine was ever there', () => {
        opened();
        const refused = noteAt(2_000, { fact: 'never-made', code: 'no-capacity', reason: 'none left' });
        expect(refused).toMatchObject({ state: 'gone', createdAt: 1_000, endedAt: 1_000, endReason: 'none left', neverMade: 'no-capacity', leftovers: [] });
        opened('cats-2');
        const made = ledger.note('cats-2', { fact: 'launched', ref });
        expect(ledger.note('cats-2', { fact: 'never-made', code: 'no-capacity', reason: 'none left' })).toEqual(made);
      });

      it('keeps the host keys that a machine got ready with, whatever its address becomes', () => {
        opened();
        const own: Access = { kind: 'own', host: '198.51.100.1', port: 22, user: 'u', hostKeys: ['ssh-ed25519 AAAA'] };
        const other: Access = { ...own, host: '198.51.100.2', hostKeys: ['ssh-ed25519 BBBB'] };
        ledger.note('cats-1', { fact: 'launched', ref });
        expect(ledger.note('cats-1', { fact: 'seen', access: other }).access).toEqual(other);
        ledger.note('cats-1', { fact: 'ready', access: own });
        expect(ledger.note('cats-1', { fact: 'seen', access: other }).access).toEqual({ ...other, hostKeys: own.hostKeys });
      });

      it('keeps where an ending machine is, but never makes it ready again', () => {
        opened();
        ledger.note('cats-1', { fact: 'ending', reason: 'interrupted' });
        expect(ledger.note('cats-1', { fact: 'launched', ref })).toMatchObject({ state: 'ending', ref });
        expect(ledger.note('cats-1', { fact: 'ready', access })).toMatchObject({ state: 'ending', access });
      });

      it('keeps the first reason to end', () => {
        opened();
        ledger.note('cats-1', { fact: 'ending', reason: 'budget' });
        ledger.note('cats-1', { fact: 'ending', reason: 'its gpu-run died' });
        expect(ledger.note('cats-1', { fact: 'gone', reason: 'it ended by itself', leftovers: [] }).endReason).toBe('budget');
      });

      it('refuses a machine that it does not know', () => {
        expect(refusedWith(() => ledger.note('nobody', { fact: 'kept' }))).toBe('not-found');
      });
    });

    describe('list', () => {
      it('gives the newest first, even within one millisecond, and filters', () => {
        opened('cats-1', 'cats');
        opened('dogs-1', 'dogs');
        ledger.note('cats-1', { fact: 'gone', reason: 'down', leftovers: [] });
        now = 2_000;
        opened('cats-2', 'cats');
        const ids = (filter?: Parameters<Ledger['list']>[0]) => ledger.list(filter).map(({ id }) => id);
        expect(ids()).toEqual(['cats-2', 'dogs-1', 'cats-1']);
        expect(ids({ name: 'cats' })).toEqual(['cats-2', 'cats-1']);
        expect(ids({ live: true })).toEqual(['cats-2', 'dogs-1']);
        expect(ids({ name: 'cats', live: true })).toEqual(['cats-2']);
        expect(ids({ since: 2_000 })).toEqual(['cats-2']);
        expect(ids({ since: 1_000, name: 'dogs', live: true })).toEqual(['dogs-1']);
        expect(ids({ name: "'; DROP TABLE machines; --" })).toEqual([]);
      });
    });

    describe('claim', () => {
      it('belongs to the opener until it is released', () => {
        opened();
        const parent = identifyProcess(process.ppid) ?? self;
        expect(ledger.claim('cats-1', parent)).toBe(false);
        expect(ledger.claim('cats-1', self)).toBe(true);
        ledger.release('cats-1', self);
        expect(ledger.get('cats-1')?.holder).toBeNull();
        expect(ledger.claim('cats-1', parent)).toBe(true);
        expect(ledger.get('cats-1')?.holder).toEqual(parent);
      });

      it('passes on from a holder that is dead, also when its pid was given to another', () => {
        ledger.open({ ...someIntent('cats-1', 'cats'), holder: dead });
        expect(ledger.claim('cats-1', self)).toBe(true);
        expect(ledger.get('cats-1')?.holder).toEqual(self);
      });

      it("is not given back by one who hasn't got it", () => {
        opened();
        ledger.release('cats-1', dead);
        ledger.release('nobody', self);
        expect(ledger.get('cats-1')?.holder).toEqual(self);
      });

      it('stays over facts', () => {
        opened();
        expect(ledger.note('cats-1', { fact: 'gone', reason: 'down', leftovers: [] }).holder).toEqual(self);
      });

      it('refuses a machine that it does not know', () => {
        expect(refusedWith(() => ledger.claim('nobody', self))).toBe('not-found');
      });
    });

    describe('jobs', () => {
      it('inserts, replaces and finds them', () => {
        const job = someJob('job-1', { command: 'echo "ü\n' });
        ledger.putJob(job);
        expect(ledger.getJob('job-1')).toEqual(job);
        const ended = someJob('job-1', { state: 'ended', end: { code: 137, signal: 'SIGKILL', reason: 'signal', detail: null } });
        ledger.putJob(ended);
        expect(ledger.listJobs()).toEqual([ended]);
        expect(ledger.getJob('job-2')).toBeNull();
      });

      it('changes what is known, or leaves it', () => {
        const job = someJob('job-1', {});
        expect(ledger.changeJob('job-1', (known) => (known === null ? null : job))).toBeNull();
        expect(ledger.changeJob('job-1', (known) => (known === null ? job : null))).toEqual(job);
        expect(ledger.changeJob('job-1', (known) => known && { ...known, asOf: 99 })).toMatchObject({ id: 'job-1', asOf: 99 });
        expect(ledger.changeJob('job-1', () => null)).toEqual({ ...job, asOf: 99 });
        const refuse = () => {
          throw new Error('no');
        };
        expect(() => ledger.changeJob('job-1', refuse)).toThrow('no');
        expect(ledger.getJob('job-1')).toEqual({ ...job, asOf: 99 });
      });

      it('gives the newest first and filters', () => {
        ledger.putJob(someJob('a', { createdAt: 5 }));
        ledger.putJob(someJob('b', { createdAt: 9, machineId: 'dogs-1', machineName: 'dogs' }));
        ledger.putJob(someJob('c', { createdAt: 7, machineId: 'cats-2' }));
        ledger.putJob(someJob('d', { createdAt: 7 }));
        ledger.putJob(someJob('c', { createdAt: 7, machineId: 'cats-2', state: 'running' }));
        const ids = (filter?: Parameters<Ledger['listJobs']>[0]) => ledger.listJobs(filter).map(({ id }) => id);
        expect(ids()).toEqual(['b', 'd', 'c', 'a']);
        expect(ids({ machineName: 'cats' })).toEqual(['d', 'c', 'a']);
        expect(ids({ machineId: 'cats-1' })).toEqual(['d', 'a']);
        expect(ids({ machineName: 'cats', limit: 1 })).toEqual(['d']);
        expect(ids({ machineName: 'cats', machineId: 'dogs-1' })).toEqual([]);
      });
    });

    describe('what cost asks for', () => {
      it('bills: every machine that was or may have been made, oldest first, with its frozen price; refused orders not', () => {
        const billing = { minimumSeconds: 60, incrementSeconds: 1 };
        ledger.open({ ...someIntent('cats-1', 'cats'), template: 't', commit: 'c0ffee', billing });
        now = 2_000;
        ledger.open(someIntent('dogs-1', 'dogs'));
        ledger.note('dogs-1', { fact: 'never-made', code: 'quota', reason: 'none' });
        now = 3_000;
        ledger.open(someIntent('mice-1', 'mice'));
        noteAt(4_000, { fact: 'launched', ref });
        noteAt(5_000, { fact: 'ready', access });
        noteAt(100_000, { fact: 'gone', reason: 'down', leftovers: [] });
        const { offer, user, branch, deadline, provider } = someIntent('x', 'x');
        const same = { provider, type: offer.type, zone: null, spot: false, user, branch, deadline, borrowed: false };
        const price = { price: offer.price, priceSource: offer.source, priceAsOf: offer.asOf };
        const cats = {
          id: 'cats-1',
          name: 'cats',
          state: 'gone',
          template: 't',
          commit: 'c0ffee',
          rule: billing,
          createdAt: 1_000,
          egress: null,
          ...same,
          ...price,
        };
        expect(ledger.bills()).toEqual([
          { ...cats, launchedAt: 4_000, begunAt: null, providerCreatedAt: ref.createdAt, readyAt: 5_000, endedAt: 100_000 },
          expect.objectContaining({ id: 'mice-1', state: 'intent', commit: null, launchedAt: null, providerCreatedAt: null, readyAt: null, endedAt: null }),
        ]);
        expect(ledger.bills({ until: 3_000 }).map(({ id }) => id)).toEqual(['cats-1']);
        const daysLater = 100_000 + 3 * 86_400_000;
        expect(ledger.bills({ since: daysLater }).map(({ id }) => id)).toEqual(['mice-1']);
      });

      it('egress: of machines whose provider takes money for it, what was fetched by job, and what is booked after the end', () => {
        const { offer } = someIntent('x', 'x');
        const egress = { perGb: 0.12, currency: 'USD' as const, asOf: 1, source: 'test' };
        ledger.open({ ...someIntent('cats-1', 'cats'), offer: { ...offer, egress } });
        ledger.open({ ...someIntent('dogs-1', 'dogs'), offer: { ...offer, egress } });
        ledger.open(someIntent('mice-1', 'mice'));
        for (const job of ['a', null, 'a']) ledger.note('cats-1', { fact: 'pulled', bytes: 5, job });
        ledger.note('mice-1', { fact: 'pulled', bytes: 5, job: null });
        ledger.note('cats-1', { fact: 'gone', reason: 'down', leftovers: [] });
        ledger.note('cats-1', { fact: 'pulled', bytes: 5, job: null });
        expect(Object.fromEntries(ledger.bills().map(({ id, egress: billed }) => [id, billed]))).toEqual({
          'cats-1': { perGb: 0.12, pulled: { a: 10, '': 10 } },
          'dogs-1': { perGb: 0.12, pulled: {} },
          'mice-1': null,
        });
        expect(ledger.get('mice-1')?.pulled).toEqual({ '': 5 });
      });

      it('spans of jobs that have started, by machine, in the order of their starts', () => {
        ledger.putJob(someJob('a', { startedAt: 9, endedAt: 12, gpus: { count: 1, of: 4 } }));
        ledger.putJob(someJob('b', { startedAt: 5, endedAt: 7, commit: 'c0ffee', branch: 'dev' }));
        ledger.putJob(someJob('c', { machineId: 'an-1', startedAt: 20 }));
        ledger.putJob(someJob('queued'));
        const nothing = { branch: null, commit: null, user: 'me', share: 1 };
        expect(ledger.jobSpans()).toEqual([
          { ...nothing, id: 'c', machineId: 'an-1', startedAt: 20, endedAt: null },
          { ...nothing, id: 'b', machineId: 'cats-1', startedAt: 5, endedAt: 7, commit: 'c0ffee', branch: 'dev' },
          { ...nothing, id: 'a', machineId: 'cats-1', startedAt: 9, endedAt: 12, share: 0.25 },
        ]);
        expect(ledger.jobSpans({ since: 8, until: 20 }).map(({ id }) => id)).toEqual(['a']);
      });
    });

    it('can be closed twice', () => {
      ledger.close();
      expect(() => ledger.close()).not.toThrow();
    });
  });
}
