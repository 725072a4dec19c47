/** `node test/emulators/gce/main.ts [--port N] [--operation-ms N]`: runs until it is told to end; prints what to export. */
import { parseArgs } from 'node:util';
import { startGceEmulator } from './gce-emulator.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, 'operation-ms': { type: 'string', default: '500' } } });
const emulator = await startGceEmulator({ port: Number(values.port), operationMs: Number(values['operation-ms']), bootMs: 500 });
for (const [name, value] of Object.entries(emulator.env)) console.log(`export ${name}=${value}`);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => void emulator.close().finally(() => process.exit()));
