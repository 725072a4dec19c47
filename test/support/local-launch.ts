/** Launches one local machine, to be killed at it: `node local-launch.ts HOME MACHINE-PROCESS PLAN-AS-JSON`. Says `launching`, then `launched`. */
import { systemClock } from '../../src/core/clock.ts';
import { createLocalProvider } from '../../src/providers/local/local-provider.ts';
import type { LaunchPlan } from '../../src/providers/provider.ts';

const [, , home = '', machineProcess = '', plan = ''] = process.argv;
const provider = createLocalProvider({ home, machineProcess, node: process.execPath, env: { PATH: process.env['PATH'] ?? '' }, clock: systemClock });

process.stdout.write('launching\n');
await provider.launch(JSON.parse(plan) as LaunchPlan);
process.stdout.write('launched\n');
