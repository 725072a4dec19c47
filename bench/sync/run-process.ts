/** The bench itself, in a network namespace of its own where that is possible: see `../sync.ts`. */
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseChosen } from './arguments.ts';
import { judge } from './judge.ts';
import { type LinkName, lineProblem, links, type Network, openNetwork, ownNamespace } from './network.ts';
import { createOurs, isKnown, type OursName } from './ours.ts';
import { createPeer, type OpenConnection, openMaster } from './peers.ts';
import { openProcessorTime, type ProcessorTime } from './processor-time.ts';
import { printSummary, printWorkload, type Result } from './report.ts';
import { takeRounds } from './rounds.ts';
import { createWatch } from './watch.ts';
import { type Workload, type WorkloadName, workloads } from './workloads.ts';

const chosen = parseChosen(process.argv.slice(2), process.env);
const isOwn = ownNamespace();
const aborter = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => aborter.abort());

/** Five times the largest folder. */
const roomyBytes = 12e9;
const memory = '/dev/shm';
const inMemory = existsSync(memory) && statfsSync(memory).bavail * statfsSync(memory).bsize > roomyBytes * Math.min(1, chosen.scale);
const root = mkdtempSync(join(chosen.folder ?? (inMemory ? memory : tmpdir()), 'gpu-run-bench-'));
const step = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

async function runAll(): Promise<void> {
  using cpu = openProcessorTime();
  const results: Result[] = [];
  const problem = lineProblem(isOwn);
  console.log(`Folders in ${root}, scale ${chosen.scale}`);
  for (const link of chosen.links) {
    const those = chosen.workloads.filter((name) => workloads[name].links.includes(link));
    if (those.length === 0) continue;
    if (problem !== null && links[link].line !== null) {
      console.log(`\nNothing is measured at ${links[link].title}: ${problem}.`);
      continue;
    }
    const farHome = join(root, `far-home-${link}`);
    mkdirSync(farHome);
    await using network = await openNetwork(link, isOwn, root, farHome);
    cpu.count(network.serverPid, 'far');
    if (network.linePid !== null) cpu.count(network.linePid, 'neither');
    await using master = await openMaster({ network, room: farHome, signal: aborter.signal });
    for (const name of those) results.push(await runOne(name, link, { network, cpu, master }));
  }
  printSummary(results);
}

interface Stage {
  readonly network: Network;
  readonly cpu: ProcessorTime;
  readonly master: OpenConnection;
}

async function runOne(name: WorkloadName, link: LinkName, { network, cpu, master }: Stage): Promise<Result> {
  const workload: Workload = workloads[name];
  const { signal } = aborter;
  const room = mkdtempSync(join(root, `${name}-`));
  const scene = { network, source: join(room, 'tree'), room, farRoom: join(room, 'far'), signal };
  step(`${workload.title}: making the folder`);
  const make = (folder: string) => workload.make(folder, chosen.scale);
  mkdirSync(scene.source);
  make(scene.source);
  const contentBytes = sizeOf(scene.source);
  const hasLine = network.link.line !== null;
  const peers = workload.peers.filter((each) => !hasLine || !workload.tooSlow?.includes(each)).map((each) => createPeer(each, scene, master));
  const create = (each: OursName) => (each === 'watch' ? createWatch(scene, make, workload.edit ?? (() => () => {})) : createOurs(each, scene));
  const ours = workload.ours.filter(isKnown).map(create);
  try {
    const rounds = chosen.rounds ?? workload.rounds[hasLine ? 1 : 0];
    const options = {
      rounds,
      source: scene.source,
      edit: workload.edit,
      network,
      cpu,
      onStep: (text: string) => step(`${name}, ${network.link.title}, ${text}`),
    };
    const taken = await takeRounds({ contenders: [...peers, ...ours], ...options });
    const rows = judge(taken, {
      contentBytes,
      megabits: workload.edit === undefined ? (network.link.line?.megabits ?? null) : null,
      wanted: workload.wanted[link] ?? {},
    });
    step('');
    printWorkload(`${workload.title}; ${network.link.title}, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${(contentBytes / 1e6).toFixed(1)} MB`, rows);
    return { workload: name === 'd2' ? "d'" : name, link: network.link.title, rows };
  } finally {
    for (const each of ours) await each.close();
    rmSync(room, { recursive: true, force: true, maxRetries: 5 });
  }
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}

try {
  await runAll();
} catch (error) {
  step('');
  console.error(aborter.signal.aborted ? 'Interrupted.' : error instanceof Error ? error.message : error);
  process.exitCode = aborter.signal.aborted ? 130 : 1;
} finally {
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(); // whatever an interrupted run still holds open
