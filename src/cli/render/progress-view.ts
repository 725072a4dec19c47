/** What workflows report, shown while they work. Three ways: one line drawn over and over, plain lines, or warnings alone. */
import type { Report, Reporter } from '../../core/reporter.ts';
import { createMeter } from './progress-meter.ts';
import { phaseTexts } from './progress-text.ts';
import { paragraph, warningLine } from './sentence.ts';
import type { Style } from './style.ts';
import { cut, harmless } from './text.ts';

export interface ProgressView extends Reporter {
  /** Takes the moving line away, so that somebody else can write. It comes back with the next report. */
  clear(): void;
  /** Somebody else has written: true when the terminal's last line is unfinished and must not be drawn over. */
  wrote(midLine: boolean): void;
}

export interface ViewParts {
  readonly write: (text: string) => void;
  readonly style: Style;
  /** Milliseconds. */
  readonly now: () => number;
  /** Columns for lines that stay; absent: endless. */
  readonly width?: () => number;
}

export interface AnimatedParts extends ViewParts {
  readonly columns: () => number;
  /** Calls `tick` again and again; returns what stops it. */
  readonly every: (ms: number, tick: () => void) => () => void;
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 100;
const plainProgressMs = 5_000;
const endless = () => Number.POSITIVE_INFINITY;
const eraseLine = '\r\u001b[2K';

/** Each drawing is one write, and only ticks draw: many reports a second don't flicker. */
export function createAnimatedView({ write, style, now, columns, every, width = endless }: AnimatedParts): ProgressView {
  const meter = createMeter(now);
  let line: { text: string; detail: () => string } | null = null;
  let frame = 0;
  let stop: (() => void) | null = null;
  let midLine = false;
  const draw = () => {
    if (line === null) return;
    const said = line.detail();
    const detail = said === '' ? '' : `  ${said}`;
    const shown = cut(`${frames[frame % frames.length]} ${line.text}${detail}`, columns() - 1);
    write(`${eraseLine}${shown.slice(0, line.text.length + 2)}${style.dim(shown.slice(line.text.length + 2))}`);
  };
  const clear = () => {
    if (stop === null) return;
    stop();
    stop = null;
    line = null;
    write(eraseLine);
  };
  const beginLine = () => {
    if (midLine) write('\n');
    midLine = false;
  };
  const show = (text: string, detail = () => '') => {
    line = { text: harmless(text), detail };
    if (stop !== null) return;
    beginLine();
    draw();
    stop = every(frameMs, () => {
      frame += 1;
      draw();
    });
  };
  const print = (text: string) => {
    const shown = line;
    clear();
    beginLine();
    write(`${text}\n`);
    if (shown !== null) show(shown.text, shown.detail);
  };
  return {
    clear,
    wrote: (unfinished) => {
      midLine = unfinished;
    },
    report: (report) => {
      if (report.type === 'progress') return show(line?.text ?? phaseTexts[report.phase], meter.take(report));
      if (report.type === 'phase') meter.begin(report.phase);
      if (report.type === 'phase' && report.status === 'begin') return show(report.text);
      if (report.type === 'link' && report.state === 'reconnecting') return show(report.text);
      if (report.type !== 'note') line = null;
      print(permanentLine(report, style, width()));
    },
  };
}

/** For logs, pipes and CI: a line is written once and stays; progress now and then. */
export function createPlainView({ write, style, now, width = endless }: ViewParts): ProgressView {
  const meter = createMeter(now);
  let last = '';
  let text = '';
  let quietUntil = 0;
  const print = (line: string) => {
    if (line !== last) write(`${line}\n`);
    last = line;
  };
  return {
    clear: () => {},
    wrote: () => {},
    report: (report) => {
      if (report.type !== 'progress') {
        if (report.type === 'phase' && report.status === 'begin') {
          text = harmless(report.text);
          meter.begin(report.phase);
          quietUntil = now() + plainProgressMs;
        }
        return print(permanentLine(report, style, width()));
      }
      const detail = meter.take(report);
      if (now() < quietUntil) return;
      quietUntil = now() + plainProgressMs;
      print(`${text === '' ? phaseTexts[report.phase] : text}: ${detail()}`);
    },
  };
}

/** With `--quiet`. */
export function createQuietView({ write, style, width = endless }: ViewParts): ProgressView {
  return {
    clear: () => {},
    wrote: () => {},
    report: (report) => {
      if (report.type === 'note' && report.level === 'warn') write(`${permanentLine(report, style, width())}\n`);
    },
  };
}

function permanentLine(report: Exclude<Report, { type: 'progress' }>, style: Style, width: number): string {
  const text = harmless(report.text);
  if (report.type === 'note') return report.level === 'warn' ? warningLine(text, style, width) : paragraph(text, width);
  if (report.type === 'link') return style.yellow(paragraph(text, width));
  return report.status === 'end' ? paragraph(`✓ ${text}`, width).replace('✓', () => style.green('✓')) : paragraph(`${text} ...`, width);
}
