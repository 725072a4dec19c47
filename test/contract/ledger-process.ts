/** A process of its own that uses the ledger, for `ledger.test.ts`: `ledger-process.ts race|write|hold|count FILE TAG`. Each line it prints is acknowledged work. */

import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/core/clock.ts';
import { ownIdentity } from '../../src/core/process-identity.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite-ledger.ts';
import { someIntent } from './ledger-intent.ts';

const [task, file = '', tag = ''] = process.argv.slice(2);

const say = (words: unknown) => writeSync(1, `${JSON.stringify(words)}\n`);

/** Opens the machine that each line of stdin names, `LEDGER-FILE NAME`, with the file opened and closed each time. */
async function race(): Promise<void> {
  say('waiting');
  for await (const line of createInterface(process.stdin)) {
    const [path = '', name = ''] = line.split(' ');
    const ledger = openSqliteLedger(path, systemClock);
    const { opened, entry } = ledger.open(someIntent(`${name}-${tag}`, name));
    ledger.close();
    say({ opened, id: entry.id });
  }
}

/** Writes until it is killed. */
function write(): void {
  const ledger = openSqliteLedger(file, systemClock);
  for (let n = 0; ; n += 1) {
    const id = `m-${tag}-${n}`;
    ledger.open(someIntent(id, id));
    say({ id, state: 'intent' });
    ledger.note(id, { fact: 'ending', reason: 'test' });
    say({ id, state: 'ending' });
    ledger.note(id, { fact: 'gone', reason: 'test', leftovers: [] });
    say({ id, state: 'gone' });
  }
}

/** Tries to take the machine `held-1`, says whether it could, and lives on until its stdin ends. */
async function hold(): Promise<void> {
  const ledger = openSqliteLedger(file, systemClock);
  say(ledger.claim('held-1', ownIdentity()));
  await once(process.stdin.resume(), 'end');
}

/** Adds one to what is known of the job `counted`, again and again, while another process does the same. */
function count(): void {
  const ledger = openSqliteLedger(file, systemClock);
  for (let n = 0; n < Number(tag); n += 1) ledger.changeJob('counted', (known) => (known === null ? null : { ...known, asOf: known.asOf + 1 }));
}

await { race, write, hold, count }[task as 'race' | 'write' | 'hold' | 'count']();
