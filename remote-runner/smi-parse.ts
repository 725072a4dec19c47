/**
 * What is asked of nvidia-smi, and what it answers. NVIDIA does not promise that its output stays as it is (nvidia-smi(1)): a field
 * that a version does not know is asked for under its older name, or not at all, and what makes no sense is null.
 */
import type { GpuProcess, GpuSample } from '../src/protocol/telemetry.ts';
import { throttleReasons } from './throttle.ts';

/** Each field with its older names. */
const wanted = {
  index: ['index'],
  uuid: ['uuid'],
  name: ['name'],
  utilization: ['utilization.gpu'],
  memoryUtilization: ['utilization.memory'],
  memoryUsed: ['memory.used'],
  memoryTotal: ['memory.total'],
  power: ['power.draw'],
  powerLimit: ['enforced.power.limit', 'power.limit'],
  temperature: ['temperature.gpu'],
  smClock: ['clocks.sm', 'clocks.current.sm'],
  smClockMax: ['clocks.max.sm'],
  throttle: ['clocks_event_reasons.active', 'clocks_throttle_reasons.active'],
  eccUncorrected: ['ecc.errors.uncorrected.volatile.total'],
} as const;

type Field = keyof typeof wanted;

/** The fields that are asked for, in the order of the columns. */
export interface Query {
  readonly columns: readonly { readonly field: Field; readonly name: string }[];
}

export function fullQuery(): Query {
  return { columns: (Object.keys(wanted) as Field[]).map((field) => ({ field, name: wanted[field][0] })) };
}

/** What nvidia-smi says of a field that it doesn't know, for which it asks nothing at all. */
export function unknownField(said: string): string | null {
  return /Field "([\w.]+)" is not a valid field to query/.exec(said)?.[1] ?? null;
}

/** null: it can't do without this field, or had not been asked for it. */
export function withoutField({ columns }: Query, name: string): Query | null {
  const column = columns.find((each) => each.name === name);
  if (column === undefined || column.field === 'index') return null;
  const names: readonly string[] = wanted[column.field];
  const older = names[names.indexOf(name) + 1];
  return { columns: columns.flatMap((each) => (each !== column ? [each] : older === undefined ? [] : [{ ...each, name: older }])) };
}

export function queryArguments({ columns }: Query, everyMs: number): string[] {
  return [`--query-gpu=${columns.map(({ name }) => name).join(',')}`, '--format=csv,noheader,nounits', '-lms', String(everyMs)];
}

/** One line of csv; null: it is none of a GPU. */
export function parseGpuLine(line: string, { columns }: Query): GpuSample | null {
  const cells = line.split(',').map((cell) => cell.trim());
  if (cells.length !== columns.length) return null;
  const cell = (field: Field) => cells[columns.findIndex((column) => column.field === field)] ?? '';
  const number = (field: Field) => numberIn(cell(field));
  const mebibytes = (field: Field) => bytesOf(number(field));
  const index = cell('index');
  if (!/^\d{1,4}$/.test(index)) return null;
  const throttle = cell('throttle');
  return {
    index: Number(index),
    uuid: cell('uuid'),
    name: cell('name'),
    utilization: number('utilization'),
    memoryUtilization: number('memoryUtilization'),
    memoryUsedBytes: mebibytes('memoryUsed'),
    memoryTotalBytes: mebibytes('memoryTotal'),
    powerWatts: number('power'),
    powerLimitWatts: number('powerLimit'),
    temperatureC: number('temperature'),
    smClockMhz: number('smClock'),
    smClockMaxMhz: number('smClockMax'),
    throttle: /^0x[0-9a-f]{1,16}$/i.test(throttle) ? throttleReasons(Number(`0x${throttle.slice(2).slice(-8)}`)) : [],
    eccUncorrected: number('eccUncorrected'),
    xid: null,
  };
}

/** Numbers without a unit; `[N/A]`, `[Not Supported]`, `[Unknown Error]` and all else are null. */
function numberIn(cell: string): number | null {
  return /^\d{1,12}(\.\d{1,6})?$/.test(cell) ? Number(cell) : null;
}

function bytesOf(mebibytes: number | null): number | null {
  return mebibytes === null ? null : mebibytes * 1024 * 1024;
}

/** The name comes last, as it may hold commas. */
export const processArguments = ['--query-compute-apps=gpu_uuid,pid,used_memory,process_name', '--format=csv,noheader,nounits'];

/** Programs that compute on these GPUs. */
export function parseProcesses(text: string, gpus: readonly GpuSample[]): Omit<GpuProcess, 'job'>[] {
  return text.split('\n').flatMap((line) => {
    const [uuid, pid = '', used = '', ...name] = line.split(',');
    const gpu = gpus.find((each) => each.uuid === uuid?.trim());
    if (gpu === undefined || !/^\s*\d{1,9}\s*$/.test(pid)) return [];
    const words = name.join(',').trim();
    return [{ gpu: gpu.index, pid: Number(pid), name: words === '' || /^\[.*\]$/.test(words) ? null : words, memoryUsedBytes: bytesOf(numberIn(used.trim())) }];
  });
}
