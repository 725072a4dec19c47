/** The head of `top`: the machine and what it costs, the link to it, the job. */
import { jobIdOf } from '../../core/job.ts';
import { formatUsd } from '../../core/money.ts';
import { etaOf } from '../../workflows/top-eta.ts';
import type { TopView } from '../../workflows/top-model.ts';
import { endLine } from './job-view.ts';
import { gpuOf, perHour, placeOf } from './machines.ts';
import { span } from './text.ts';
import { firstThatFits, fitLine, type Line, lineColumns, type Piece, piece } from './top-line.ts';
import type { Look } from './top-look.ts';

/** Two lines: what it is, and its money and time. */
export function headerLines(view: TopView, now: number, width: number, look: Look): Line[] {
  const { machine } = view;
  const { offer } = machine;
  const link = linkPieces(view, now, look);
  const what = [...(offer.gpu === null ? [] : [gpuOf(offer)]), ...(offer.spot ? ['spot'] : [])];
  const price = offer.price.perHour === 0 ? [] : [perHour(offer.price)];
  const place = placeOf(offer);
  const parts = [[place, offer.type, ...what, ...price], [place, ...what, ...price], [...what, ...price], price, []];
  const name = piece(machine.name, look.style.bold);
  const alternatives = parts.map((words): Line => [name, ...words.flatMap((word) => [separator(look), piece(word)])]);
  const room = width - lineColumns(link) - 1;
  const head = room >= 8 ? firstThatFits(alternatives, room) : [];
  return [[...fitLine(head, Math.max(0, room), true), [' '], ...link], firstThatFits(moneyLines(view, now, look), width)];
}

function separator({ glyphs, style }: Look): Piece {
  return [` ${glyphs.separator} `, style.dim];
}

function linkPieces({ link }: TopView, now: number, { style, glyphs }: Look): Line {
  const since = span(Math.max(0, now - link.since) / 1000);
  if (link.state === 'connected') return [[`${glyphs.dot} connected`, style.green]];
  if (link.state === 'connecting') return [[`${glyphs.dot} connecting ${since}`, style.yellow]];
  return [[`${glyphs.dot} reconnecting ${since}`, style.red]];
}

/** From the most that can be said to the least. */
function moneyLines({ machine, spentUsd, budget }: TopView, now: number, look: Look): Line[] {
  const { style } = look;
  const isFree = machine.offer.price.perHour === 0;
  const left = (machine.deadline - now) / 1000;
  const hurry = left < 600 ? style.yellow : undefined;
  const spent: Line[] = isFree ? [] : [[[`${formatUsd(spentUsd)} so far`]]];
  const ends: Line[] = machine.state === 'gone' ? [] : [[[left > 0 ? `ends in ${span(left)}` : 'its deadline has passed', hurry]]];
  const money: Line[] =
    budget === null
      ? []
      : [[[`${formatUsd(Math.max(0, budget.usd - budget.spentUsd))} of ${formatUsd(budget.usd)} left`, budget.reached === null ? undefined : style.yellow]]];
  const idle: Line[] = machine.idleSeconds === null ? [] : [[[`idle limit ${span(machine.idleSeconds)}`, style.dim]]];
  const join = (parts: readonly Line[]) => parts.flatMap((part, at) => (at === 0 ? part : [separator(look), ...part]));
  return [join([...spent, ...money, ...ends, ...idle]), join([...spent, ...money, ...ends]), join([...spent, ...ends]), join(ends)];
}

/** What is wrong with GPUs that are there all the same. */
export function troubleLines({ sample }: TopView, { style }: Look): Line[] {
  return sample === null || sample.problem === null || sample.gpus.length === 0 ? [] : [[['! ', style.yellow], piece(sample.problem, style.yellow)]];
}

/** The job that is looked at; where there are several also the others. */
export function jobLines(view: TopView, now: number, width: number, look: Look): Line[] {
  const { job, jobs, sample } = view;
  const { style } = look;
  if (job === null) return [[['No job has run here yet.', style.dim]]];
  const elapsed = job.startedAt === null ? '' : ` ${span(Math.max(0, (job.endedAt ?? sample?.t ?? now) - job.startedAt) / 1000)}`;
  const eta = etaOf(view);
  const state: Piece =
    job.state === 'ended'
      ? piece(
          endLine({ ...job, machineId: '', machineName: '', attempts: 1, asOf: now, user: '', branch: null, gpus: null }).slice(job.id.length + 1),
          job.end?.code === 0 ? style.green : style.red,
        )
      : piece(`${job.state}${elapsed}`, style.green);
  const waits: Line = job.waitsFor === null ? [] : [separator(look), piece(`waits for ${job.waitsFor}`)];
  const ready: Line = eta === null ? [] : [separator(look), [`${Math.floor(Math.min(1, eta.done) * 100)} %, ${span(Math.max(0, eta.seconds))} left`]];
  const attempt: Line = job.attempt > 1 ? [separator(look), [`attempt ${job.attempt}`]] : [];
  const head: Line = [piece(jobIdOf(job.id), style.bold), [' '], state, ...waits, ...attempt, ...ready];
  const first = fitLine([...head, separator(look), piece(job.command, style.dim)], width);
  return jobs.length < 2 ? [first] : [first, tabLine(jobs.slice(-9), job.id, width, look)];
}

/** `[1] k3v9xq ended  [2] 8fjw2p running`: as many as there is room for, that which is looked at among them. */
function tabLine(jobs: TopView['jobs'], shown: string, width: number, { style, glyphs }: Look): Line {
  const tabs = jobs.map(({ id, state, givenGpus }, at): Line => {
    const text = `[${at + 1}] ${id.slice(-6)} ${state}${givenGpus === null ? '' : ` GPU ${givenGpus.join(',')}`}`;
    return [piece(text, id === shown ? style.bold : style.dim), ['  ']];
  });
  const drawn = (from: number, to: number): Line => [
    ...(from > 0 ? [[`${glyphs.more} `, style.dim] as const] : []),
    ...tabs.slice(from, to).flat(),
    ...(to < tabs.length ? [[glyphs.more, style.dim] as const] : []),
  ];
  const fits = (from: number, to: number) => from >= 0 && to <= tabs.length && lineColumns(drawn(from, to)) <= width;
  const at = jobs.findIndex(({ id }) => id === shown);
  let [from, to] = at < 0 ? [0, 0] : [at, at + 1];
  for (;;) {
    if (fits(from, to + 1)) to += 1;
    else if (fits(from - 1, to)) from -= 1;
    else return fitLine(drawn(from, to), width);
  }
}
