/** One picture of `top`: from what is known and the size of the terminal to its lines. Pure; no line is ever wider than the terminal. */
import type { TopView } from '../../workflows/top-model.ts';
import { wrap } from './text.ts';
import { gpuLines, hostLines, processLines } from './top-gpus.ts';
import { headerLines, jobLines, troubleLines } from './top-header.ts';
import { beside, fitLine, type Line, type Piece, paintLine, piece } from './top-line.ts';
import type { Look } from './top-look.ts';
import { trainingLines } from './top-training.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What the keys have brought about. */
export interface Mood {
  readonly bigLog: boolean;
  readonly help: boolean;
  readonly paused: boolean;
  /** A question, or what came of one; null: the keys are shown. */
  readonly message: string | null;
  /** Nobody presses keys: they are not told. */
  readonly still: boolean;
}

export const calm: Mood = { bigLog: false, help: false, paused: false, message: null, still: false };

/** From this width on, GPUs and training stand beside each other. */
const twoColumns = 120;

/** Exactly `rows` lines. */
export function renderTop(view: TopView, now: number, size: Size, look: Look, mood: Mood): string[] {
  return frameLines(view, now, size, look, mood).map((line) => paintLine(fitLine(line.map(asKnown(look)), size.columns)));
}

/** A terminal without UTF-8 gets none, from the log neither. */
function asKnown({ glyphs }: Look): (piece: Piece) => Piece {
  return ([text, paint]) => [glyphs.ascii ? text.replace(/[^\x20-\x7e]/gu, '?') : text, paint];
}

function frameLines(view: TopView, now: number, { columns, rows }: Size, look: Look, mood: Mood): Line[] {
  const head = [...headerLines(view, now, columns, look), ...jobLines(view, now, columns, look), ...troubleLines(view, look)].slice(0, Math.max(1, rows - 1));
  const foot: Line[] = rows > head.length && !mood.still ? [footLine(mood, columns, look)] : [];
  const room = rows - head.length - foot.length;
  const body = mood.help ? helpLines(columns, look).slice(0, room) : mood.bigLog ? logOnly(view, columns, room, look) : bodyLines(view, columns, room, look);
  const padding = Array.from({ length: Math.max(0, room - body.length) }, (): Line => []);
  return [...head, ...body, ...padding, ...foot];
}

function bodyLines(view: TopView, width: number, room: number, look: Look): Line[] {
  const upper = width >= twoColumns && room >= 12 ? wideBlock(view, width, Math.floor(room * 0.7), look) : narrowBlock(view, width, room, look);
  const left = room - upper.length;
  return [...upper, ...logSection(view, width, left, look)];
}

/** Under each other; what comes later gets what is left. */
function narrowBlock(view: TopView, width: number, room: number, look: Look): Line[] {
  const forLog = room >= 8 ? Math.max(3, Math.floor(room * 0.25)) : 0;
  const lines: Line[] = [];
  const add = (title: string, make: (height: number) => Line[], most: number, least: number) => {
    const rule = room >= 12 ? 1 : 0;
    const height = Math.min(most, room - forLog - lines.length - rule);
    if (height < least) return;
    const made = make(height).slice(0, height);
    if (made.length > 0) lines.push(...(rule === 1 ? [ruleLine(title, width, look)] : []), ...made);
  };
  const gpus = view.sample?.gpus.length ?? 0;
  add('GPU', (height) => gpuLines(view, width, height, look), Math.max(1, Math.min(gpus * 2, Math.floor(room * 0.5))), 1);
  add('host', (height) => hostLines(view, width, height, look), room >= 14 ? 2 : 1, 1);
  add('training', (height) => trainingLines(view, width, height, look), room >= 26 ? Math.max(5, Math.floor(room * 0.35)) : 3, 1);
  add('programs', (height) => processLines(view, width, height, look), Math.max(2, Math.floor(room * 0.15)), 2);
  return lines;
}

function wideBlock(view: TopView, width: number, room: number, look: Look): Line[] {
  const gap = 3;
  const leftWidth = Math.floor((width - gap) * 0.55);
  const rightWidth = width - gap - leftWidth;
  const gpus = gpuLines(view, leftWidth, Math.max(1, room - 4), look);
  const host = hostLines(view, leftWidth, 2, look);
  const spare = room - gpus.length - host.length - 2;
  const programs = spare >= 3 ? processLines(view, leftWidth, spare - 1, look) : [];
  const left = [
    ruleLine('GPU', leftWidth, look),
    ...gpus,
    ruleLine('host', leftWidth, look),
    ...host,
    ...(programs.length > 0 ? [ruleLine('programs', leftWidth, look), ...programs] : []),
  ];
  const training = trainingLines(view, rightWidth, Math.max(3, Math.min(room - 1, 14)), look);
  const right = training.length === 0 ? [] : [ruleLine('training', rightWidth, look), ...training];
  return beside(left, right, leftWidth, gap).slice(0, room);
}

function logSection(view: TopView, width: number, height: number, look: Look): Line[] {
  if (height <= 0) return [];
  if (height < 3) return logLines(view, width, height);
  return [ruleLine('log', width, look), ...logLines(view, width, height - 1)];
}

function logOnly(view: TopView, width: number, room: number, look: Look): Line[] {
  const gpus = gpuLines(view, width, Math.min(view.sample?.gpus.length ?? 0, Math.floor(room / 4)), look);
  return [...gpus, ...logSection(view, width, room - gpus.length, look)];
}

function logLines({ log, job }: TopView, width: number, height: number): Line[] {
  if (log.length === 0) return job === null ? [] : [[['  nothing was written yet']]];
  return log.slice(-height).map((line) => fitLine([piece(line)], width));
}

function ruleLine(title: string, width: number, { style, glyphs }: Look): Line {
  return [[`${glyphs.rule}${glyphs.rule} ${title} ${glyphs.rule.repeat(Math.max(0, width - title.length - 4))}`, style.dim]];
}

function footLine({ message, paused, bigLog }: Mood, width: number, { style }: Look): Line {
  if (message !== null) return fitLine([piece(message, style.yellow)], width);
  const hint: Line = paused ? [['paused ', style.yellow]] : [];
  return fitLine(
    [...hint, [`q quit   l ${bigLog ? 'less' : 'more'} log   p ${paused ? 'go on' : 'pause'}   c cancel   tab next job   ? help`, style.dim]],
    width,
  );
}

function helpLines(width: number, { style }: Look): Line[] {
  const keys = [
    ['q', 'leave; the job and the machine go on'],
    ['l', 'more of the log, or less'],
    ['p', 'hold the picture still, or let it go on'],
    ['c', 'cancel the job that is shown; asks first'],
    ['tab, 1-9', 'another job of this machine'],
    ['ctrl-l', 'draw everything anew'],
    ['?', 'this help, or back'],
  ] as const;
  return [
    [[]],
    ...keys.map(([key, text]): Line => [[`  ${key.padEnd(10)}`, style.bold], [text]]),
    [[]],
    ...wrap('busy: the share of time in which any kernel ran. 100 % does not mean that the chip is full.', width - 2).map(
      (text): Line => [[`  ${text}`, style.dim]],
    ),
  ].map((line) => line.filter((each) => each.length > 0) as Line);
}
