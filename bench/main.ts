/** `npm run bench [NAME...]`: measures on this computer and prints tables. The numbers in `docs/benchmarks.md` come from here. */
import { benchFollow } from './follow.ts';
import { benchGcpMany } from './gcp-many.ts';
import { benchLedger } from './ledger.ts';
import { benchMemory } from './memory.ts';
import { benchRunnerLoad } from './runner-load.ts';
import { benchStartUp } from './start-up.ts';
import { benchStream } from './stream.ts';
import { benchSync } from './sync.ts';
import { benchWarmTrain } from './warm-train.ts';

const benches: Readonly<Record<string, () => void | Promise<void>>> = {
  'start-up': benchStartUp,
  'warm-train': benchWarmTrain,
  sync: benchSync,
  stream: benchStream,
  follow: benchFollow,
  'runner-load': benchRunnerLoad,
  memory: benchMemory,
  'gcp-many': benchGcpMany,
  ledger: benchLedger,
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`There is no bench '${unknown.join("', '")}'. The benches are: ${Object.keys(benches).join(', ')}.`);
  process.exit(64);
}
console.log(`Node ${process.versions.node}, ${process.platform} ${process.arch}`);
for (const [name, bench] of Object.entries(benches)) if (chosen.length === 0 || chosen.includes(name)) await bench();
