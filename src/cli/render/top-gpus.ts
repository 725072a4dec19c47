/** GPUs, the programs on them, and the host, in `top`. */
import type { GpuSample } from '../../core/job.ts';
import { formatSize } from '../../core/size.ts';
import { gpuHistory, type TopView } from '../../workflows/top-model.ts';
import { columnsOf, cutColumns, firstThatFits, fitLine, type Line, lineColumns, type Piece, piece } from './top-line.ts';
import type { Look } from './top-look.ts';
import { bar, sparkline } from './top-plot.ts';

/** Per cent of utilisation below which a GPU does not earn its money; the bounds are those of the report. */
const low = 15;
const middling = 50;
const hot = 85;
/** Columns; on less, a GPU has one line. */
const leastForTwo = 64;

/** Two lines a GPU while there are so many lines, else one; GPUs that have no line are counted. */
export function gpuLines(view: TopView, width: number, height: number, look: Look): Line[] {
  const { sample } = view;
  const gpus = sample?.gpus ?? [];
  if (gpus.length === 0) return height === 0 ? [] : noGpus(view, width, look);
  if (height >= gpus.length * 2 && width >= leastForTwo) return gpus.flatMap((gpu) => [factLine(gpu, width, look), meterLine(view, gpu, width, look)]);
  const shown = gpus.length <= height ? gpus : gpus.slice(0, Math.max(0, height - 1));
  const rest = gpus.length - shown.length;
  const lines = shown.map((gpu) => shortLine(view, gpu, width, look));
  return rest > 0 && height > 0 ? [...lines, [[`${look.glyphs.more} and ${rest} more GPUs`, look.style.dim]]] : lines;
}

function noGpus({ sample, machine }: TopView, width: number, { style }: Look): Line[] {
  if (sample === null) return [[['waiting for the first look at the machine', style.dim]]];
  if (sample.problem !== null) return [fitLine([['no GPU: ', style.yellow], piece(sample.problem, style.yellow)], width)];
  return machine.offer.gpu === null ? [[['no GPU on this machine', style.dim]]] : [[['the driver tells of no GPU', style.yellow]]];
}

/** `0 NVIDIA L4   60 of 72 W   66 °C   1500 of 2040 MHz   power-cap`. */
function factLine(gpu: GpuSample, width: number, look: Look): Line {
  const { style } = look;
  const clock: Line =
    gpu.smClockMhz === null ? [] : [[`${Math.round(gpu.smClockMhz)}${gpu.smClockMaxMhz === null ? '' : ` of ${Math.round(gpu.smClockMaxMhz)}`} MHz`]];
  const facts: Line[] = [[powerOf(gpu)], [temperatureOf(gpu, look)], clock, flagsOf(gpu, look)].filter((fact) => lineColumns(fact) > 0);
  const right = facts.flatMap((fact, at): Line => (at === 0 ? fact : [['   '], ...fact]));
  const name = cutColumns(`${gpu.index} ${piece(gpu.name)[0]}`, Math.max(6, width - lineColumns(right) - 2));
  return fitLine([[name, style.bold], [' '.repeat(Math.max(2, Math.min(28, width - lineColumns(right)) - columnsOf(name)))], ...right], width);
}

function powerOf({ powerWatts, powerLimitWatts }: GpuSample): Piece {
  if (powerWatts === null) return [''];
  return [`${Math.round(powerWatts)}${powerLimitWatts === null ? '' : ` of ${Math.round(powerLimitWatts)}`} W`];
}

function temperatureOf({ temperatureC }: GpuSample, { style, glyphs }: Look): Piece {
  return temperatureC === null ? [''] : [`${Math.round(temperatureC)} ${glyphs.degree}`, temperatureC >= hot ? style.red : undefined];
}

function flagsOf({ throttle, xid, eccUncorrected }: GpuSample, { style }: Look): Line {
  const words = [
    ...throttle,
    ...(xid === null || xid === 0 ? [] : [`XID ${xid}`]),
    ...(eccUncorrected === null || eccUncorrected === 0 ? [] : [`ECC ${eccUncorrected}`]),
  ];
  return words.length === 0 ? [] : [piece(words.join(' '), style.yellow)];
}

/** `  busy ████░░ 64 %   memory ██░░ 7.1GB of 24GB  ▁▃▅▇`. */
function meterLine(view: TopView, gpu: GpuSample, width: number, look: Look): Line {
  const memory = memoryText(gpu);
  const barWidth = Math.max(4, Math.min(30, Math.floor((width - 32 - memory.length) / 3)));
  const meters: Line = [['  busy '], ...busyMeter(gpu, barWidth, look), ['   memory '], ...memoryMeter(gpu, barWidth, look), [` ${memory}`]];
  const left = width - lineColumns(meters) - 3;
  if (left < 6) return fitLine(meters, width);
  const history = gpuHistory(view.samples, gpu.index, ({ utilization }) => utilization);
  return [...meters, ['   '], [sparkline(history, Math.min(left, 120), 100, look.glyphs), look.style.dim]];
}

function shortLine(view: TopView, gpu: GpuSample, width: number, look: Look): Line {
  const barWidth = Math.max(4, Math.min(16, Math.floor((width - 44) / 3)));
  const facts: Line = [
    [`${String(gpu.index).padStart(2)} `, look.style.bold],
    ...busyMeter(gpu, barWidth, look),
    ['  '],
    ...memoryMeter(gpu, barWidth, look),
    [` ${memoryText(gpu)}`],
  ];
  const more: Line = [
    ['  '],
    powerOf(gpu),
    ['  '],
    temperatureOf(gpu, look),
    ...(flagsOf(gpu, look).length > 0 ? ([['  '], ...flagsOf(gpu, look)] as Line) : []),
  ];
  const line = lineColumns(facts) + lineColumns(more) <= width ? [...facts, ...more] : facts;
  const left = width - lineColumns(line) - 2;
  if (left < 6) return fitLine(line, width);
  const history = gpuHistory(view.samples, gpu.index, ({ utilization }) => utilization);
  return [...line, ['  '], [sparkline(history, Math.min(left, 60), 100, look.glyphs), look.style.dim]];
}

function busyMeter({ utilization }: GpuSample, width: number, { style, glyphs }: Look): Line {
  const paint = utilization === null ? style.dim : utilization < low ? style.red : utilization < middling ? style.yellow : style.green;
  return [
    [bar(utilization === null ? null : utilization / 100, width, glyphs), paint],
    [utilization === null ? '   - ' : ` ${String(Math.round(utilization)).padStart(3)} %`],
  ];
}

function memoryMeter({ memoryUsedBytes, memoryTotalBytes }: GpuSample, width: number, { style, glyphs }: Look): Line {
  const share = memoryUsedBytes === null || memoryTotalBytes === null || memoryTotalBytes === 0 ? null : memoryUsedBytes / memoryTotalBytes;
  return [[bar(share, width, glyphs), share !== null && share > 0.95 ? style.yellow : undefined]];
}

function memoryText({ memoryUsedBytes, memoryTotalBytes }: GpuSample): string {
  if (memoryUsedBytes === null) return '-';
  return memoryTotalBytes === null ? formatSize(memoryUsedBytes) : `${formatSize(memoryUsedBytes)} of ${formatSize(memoryTotalBytes)}`;
}

/** The largest first. */
export function processLines({ sample }: TopView, width: number, height: number, { style }: Look): Line[] {
  const processes = (sample?.processes ?? []).toSorted((a, b) => (b.memoryUsedBytes ?? 0) - (a.memoryUsedBytes ?? 0));
  if (processes.length === 0 || height < 2) return [];
  const rows = processes.slice(0, height - 1).map(({ pid, gpu, name, memoryUsedBytes, job }): Line => {
    const memory = memoryUsedBytes === null ? '-' : formatSize(memoryUsedBytes);
    return fitLine(
      [[`${String(pid).padStart(8)}  ${String(gpu).padStart(3)}  ${memory.padStart(7)}  `], piece((job ?? '-').padEnd(20)), ['  '], piece(name ?? '-')],
      width,
    );
  });
  return [fitLine([[`${'PID'.padStart(8)}  GPU  ${'MEMORY'.padStart(7)}  ${'JOB'.padEnd(20)}  PROGRAM`, style.dim]], width), ...rows];
}

/** One line, or two where there is room. */
export function hostLines({ sample, samples }: TopView, width: number, height: number, look: Look): Line[] {
  if (sample === null || height === 0) return [];
  const { host } = sample;
  const { glyphs, style } = look;
  const memory = host.memoryUsedBytes === null || host.memoryTotalBytes === null ? null : host.memoryUsedBytes / host.memoryTotalBytes;
  const barWidth = Math.max(4, Math.min(20, Math.floor((width - 50) / 3)));
  const cpu = host.cpu === null ? '  - ' : `${String(Math.round(host.cpu)).padStart(3)} %`;
  const busiest = host.busiestCpu === null ? '' : `, busiest ${Math.round(host.busiestCpu)} %`;
  const used = memory === null ? '-' : `${formatSize(host.memoryUsedBytes ?? 0)} of ${formatSize(host.memoryTotalBytes ?? 0)}`;
  const meters: Line = [
    ['  CPU '],
    [bar(host.cpu === null ? null : host.cpu / 100, barWidth, glyphs), style.green],
    [` ${cpu} of ${host.cpus}${busiest}`],
    ['   memory '],
    [bar(memory, barWidth, glyphs), memory !== null && memory > 0.9 ? style.red : undefined],
    [` ${used}`],
  ];
  const left = width - lineColumns(meters) - 3;
  const spark: Line =
    left < 6
      ? []
      : [
          ['   '],
          [
            sparkline(
              samples.map((each) => each.host.cpu),
              Math.min(left, 120),
              100,
              glyphs,
            ),
            style.dim,
          ],
        ];
  const speed = (bytes: number | null) => (bytes === null ? '-' : `${formatSize(bytes)}/s`);
  const [read, written] = [speed(host.diskReadBytesPerSecond), speed(host.diskWriteBytesPerSecond)];
  const free = host.diskFreeBytes === null ? '' : `, ${formatSize(host.diskFreeBytes)} free`;
  const net = `net ${glyphs.down} ${speed(host.netReceivedBytesPerSecond)} ${glyphs.up} ${speed(host.netSentBytesPerSecond)}`;
  const flows = [
    `disk ${read} read, ${written} written${free}   ${net}`,
    `disk ${read} r, ${written} w${free}  ${net}`,
    `disk ${read} r, ${written} w  ${net}`,
    net,
  ];
  const flow = firstThatFits(
    flows.map((text): Line => [[`  ${text}`]]),
    width,
  );
  return [fitLine([...meters, ...spark], width), ...(height > 1 ? [flow] : [])];
}
