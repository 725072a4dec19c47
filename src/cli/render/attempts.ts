/** What was tried for a machine before it was given up, as one table: places that failed alike share a row. Why is never cut off: where the line is too short for it, it stands below. */
import { stripVTControlCharacters } from 'node:util';
import type { Attempt } from '../../core/errors.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { harmless, plural, wrap } from './text.ts';

/** So many places of a row are named. */
const mostNamed = 2;

export function renderAttempts(attempts: readonly Attempt[], style: Style, width = Number.POSITIVE_INFINITY): string {
  const columns = [{ title: 'TRIED' }, { title: 'TYPE' }, { title: 'WHERE' }];
  const groups = groupAlike(attempts);
  const rows = groups.map(({ first, places }) => [first.provider, first.type ?? '-', namePlaces(places)]);
  const whys = groups.map(({ why }) => harmless(why));
  const whole = renderTable(
    [...columns, { title: 'WHY NOT' }],
    rows.map((row, index) => [...row, whys[index] ?? '']),
    style,
  );
  if (whole.split('\n').every((line) => visible(line) <= width)) return whole;
  const [head = '', ...lines] = renderTable(columns, rows, style).split('\n');
  return [head, ...lines.flatMap((line, index) => [line, ...wrap(whys[index] ?? '', width - whyIndent.length).map((part) => `${whyIndent}${part}`)])].join(
    '\n',
  );
}

const whyIndent = '    ';

function visible(line: string): number {
  return [...stripVTControlCharacters(line)].length;
}

interface Group {
  readonly first: Attempt;
  readonly why: string;
  readonly places: readonly string[];
}

function groupAlike(attempts: readonly Attempt[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const attempt of attempts) {
    const why = whyThere(attempt);
    const key = JSON.stringify([attempt.provider, attempt.type, attempt.error?.code, why]);
    const place = attempt.zone ?? attempt.region ?? '-';
    const known = groups.get(key);
    groups.set(key, known === undefined ? { first: attempt, why, places: [place] } : { ...known, places: [...known.places, place] });
  }
  return [...groups.values()];
}

/** The reason without the names of its places, so that the same reason reads the same everywhere. */
function whyThere({ error, zone, region }: Attempt): string {
  let why = error === null ? 'it worked' : error.message.replace(/\s+/g, ' ');
  for (const place of [zone, region]) if (place !== null) why = why.replaceAll(`in ${place}`, 'there').replaceAll(place, 'it');
  return why;
}

function namePlaces(places: readonly string[]): string {
  const named = [...new Set(places)];
  const more = named.length - mostNamed;
  return more <= 1 ? named.join(', ') : `${named.slice(0, mostNamed).join(', ')} and ${plural(more, 'other')}`;
}
