/** Entry of a local machine's own process: `node local-machine.js <folder>`. Started detached by `launch`, and by nobody else. */
import { systemClock } from '../../core/clock.ts';
import { runMachine } from './run-machine.ts';

const [, , folder = ''] = process.argv;
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop.abort());

// One connection's failure must end neither the jobs here nor the watch over their deadline; what was said stays in the log.
process.on('uncaughtException', (error) => console.error(error));

try {
  await runMachine(folder, systemClock, stop.signal);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
process.exit();
