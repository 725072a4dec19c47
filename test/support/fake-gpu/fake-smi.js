/** An nvidia-smi that says what a table tells: `node fake-smi.js TABLE ARGUMENTS...`. Its words are those that real ones were seen to say. */
import { appendFileSync, readFileSync, writeSync } from 'node:fs';

const [table, ...args] = process.argv.slice(2);

function read() {
  const machine = { unknown: [] };
  const gpus = [];
  for (const line of readFileSync(table, 'utf8').split('\n')) {
    const [, whose, key, value] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
    if (whose === undefined) continue;
    if (whose === '*') key === 'unknown' ? machine.unknown.push(value) : (machine[key] = value);
    else {
      gpus[whose] ??= { index: whose, unsupported: [], process: [] };
      Array.isArray(gpus[whose][key]) ? gpus[whose][key].push(value) : (gpus[whose][key] = value);
    }
  }
  return { machine, gpus };
}

const watts = (milliwatts) => (Number(milliwatts) / 1000).toFixed(2);
const hex = (mask) => `0x${Number(mask).toString(16).padStart(16, '0')}`;
const fields = {
  index: ['index', String],
  uuid: ['uuid', String],
  name: ['name', String],
  'utilization.gpu': ['utilization', String],
  'utilization.memory': ['memoryUtilization', String],
  'memory.used': ['memoryUsedMiB', String],
  'memory.total': ['memoryTotalMiB', String],
  'power.draw': ['powerMilliwatts', watts],
  'enforced.power.limit': ['powerLimitMilliwatts', watts],
  'power.limit': ['powerLimitMilliwatts', watts],
  'temperature.gpu': ['temperature', String],
  'clocks.sm': ['smClock', String],
  'clocks.max.sm': ['smClockMax', String],
  'clocks_event_reasons.active': ['throttle', hex],
  'clocks_throttle_reasons.active': ['throttle', hex],
  'ecc.errors.uncorrected.volatile.total': ['ecc', String],
  driver_version: ['driver', () => '580.82.07'],
};

function say(text) {
  try {
    writeSync(1, text);
  } catch {
    process.exit(141); // nobody reads any more
  }
}

function cell(gpu, name) {
  const [key, show] = fields[name];
  if (gpu.lost === '1' && !['index', 'uuid', 'name'].includes(key)) return '[GPU is lost]';
  return gpu.unsupported.includes(key) ? '[N/A]' : show(gpu[key]);
}

function round(names) {
  const { machine, gpus } = read();
  if (machine.hang === '1') return setInterval(() => {}, 1_000_000) && false;
  if (machine.fail !== undefined) {
    writeSync(2, `${machine.fail}\n`);
    process.exit(9);
  }
  const unknown = names.find((name) => machine.unknown.includes(name) || fields[name] === undefined);
  if (unknown !== undefined) {
    say(`Field "${unknown}" is not a valid field to query.\n\n`);
    process.exit(2);
  }
  if (gpus.length === 0) {
    say('No devices were found\n');
    process.exit(6);
  }
  for (const gpu of gpus) say(`${names.map((name) => cell(gpu, name)).join(', ')}\n`);
  appendFileSync(`${table}.told`, '.');
  return true;
}

function processes() {
  for (const gpu of read().gpus) {
    for (const each of gpu.process) {
      const [pid, used, ...name] = each.split(' ');
      say(`${gpu.uuid}, ${pid}, ${used}, ${name.join(' ')}\n`);
    }
  }
}

const query = args.find((arg) => arg.startsWith('--query-gpu='))?.slice('--query-gpu='.length);
const every = args.includes('-lms') ? Number(args[args.indexOf('-lms') + 1]) : null;
if (args[0] === '-L') for (const gpu of read().gpus) say(`GPU ${gpu.index}: ${gpu.name} (UUID: ${gpu.uuid})\n`);
else if (query === undefined) processes();
else if (round(query.split(',')) && every !== null) {
  const timer = setInterval(() => round(query.split(',')) || clearInterval(timer), every);
}
