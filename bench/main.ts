/** `npm run bench [NAME...]`: measures on this computer and prints tables. `sync` takes words of its own: which folders, which links. The numbers in `docs/benchmarks.md` come from here. */
import { benchFollow } from './follow.ts';
import { benchGcpMany } from './gcp-many.ts';
import { benchLedger } from './ledger.ts';
import { benchMemory } from './memory.ts';
import { benchRunnerLoad } from './runner-load.ts';
import { benchStartUp } from './start-up.ts';
import { benchStream } from './stream.ts';
import { benchSync } from './sync.ts';
import { benchSyncMemory } from './sync-memory.ts';
import { benchWarmTrain } from './warm-train.ts';

const benches: Readonly<Record<string, (words: readonly string[], isOneOfAll: boolean) => void | Promise<void>>> = {
  'start-up': benchStartUp,
  'warm-train': benchWarmTrain,
  sync: benchSync,
  'sync-memory': benchSyncMemory,
  stream: benchStream,
  follow: benchFollow,
  'runner-load': benchRunnerLoad,
  memory: benchMemory,
  'gcp-many': benchGcpMany,
  ledger: benchLedger,
};

const words = process.argv.slice(2);
const chosen = words.filter((word) => Object.hasOwn(benches, word));
const own = words.filter((word) => !chosen.includes(word));
if (own.length > 0 && !chosen.includes('sync')) {
  console.error(`There is no bench '${own.join("', '")}'. The benches are: ${Object.keys(benches).join(', ')}.`);
  process.exit(64);
}
console.log(`Node ${process.versions.node}, ${process.platform} ${process.arch}`);
for (const [name, bench] of Object.entries(benches)) if (chosen.length === 0 || chosen.includes(name)) await bench(own, chosen.length === 0);
