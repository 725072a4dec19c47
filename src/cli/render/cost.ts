/** What was spent, as a table with bars, and as CSV. */
import { formatUsd } from '../../core/money.ts';
import type { BookedPrice, CostLine, CostResult } from '../../workflows/report-cost.ts';
import { isoTime } from './documents.ts';
import type { View } from './machines.ts';
import { renderTable } from './table.ts';
import { ago, cut, harmless, plural, span } from './text.ts';

/** Characters of the longest bar; with less room there are none. */
const longestBar = 40;
const shortestBar = 12;

/** `verbose`: also the prices that were booked, and why attempts failed. */
export function renderCost(result: CostResult, by: string, verbose: boolean, { style, width, now }: View): string {
  const { totalUsd, totalSeconds, totalEgressUsd, items, omitted, failed } = result;
  if (items.length === 0 && omitted.count === 0) return 'Nothing was spent.';
  const withEgress = totalEgressUsd !== null;
  const egress = (usd: number | null) => (withEgress ? [usd === null ? '-' : formatUsd(usd)] : []);
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const columns = [{ title: by.toUpperCase() }, right('TIME'), ...(withEgress ? [right('EGRESS')] : []), right('COST'), { title: '' }];
  const rows = items.map((item) => [item.live ? `${item.text} (now)` : item.text, span(item.seconds), ...egress(item.egressUsd), formatUsd(item.usd)]);
  if (omitted.count > 0) rows.push([`(${omitted.count} more)`, span(omitted.seconds), ...egress(omitted.egressUsd), formatUsd(omitted.usd)]);
  rows.push(['Total', span(totalSeconds), ...egress(totalEgressUsd), formatUsd(totalUsd)]);
  const texts = [renderTable(columns, withBars(rows, items, width), style, width)];
  if (withEgress) texts.push('Egress, part of the cost, is an estimate: what gpu-run has fetched. What left by other ways is not known here.');
  if (failed.count > 0) texts.push(failedText(failed, verbose));
  if (verbose) texts.push(pricesText(items, now));
  return texts.join('\n\n');
}

/** On a terminal with room for them. */
function withBars(rows: readonly (readonly string[])[], items: readonly CostLine[], width: number): readonly (readonly string[])[] {
  const most = Math.max(0, ...items.map(({ usd }) => usd));
  const first = Math.max(...rows.map(([text = '']) => [...harmless(text)].length));
  const room = Math.min(longestBar, width - first - ((rows[0]?.length ?? 3) > 3 ? 40 : 30));
  if (!Number.isFinite(width) || room < shortestBar || most <= 0) return rows;
  return rows.map((row, index) => [...row, '█'.repeat(Math.round(((items[index]?.usd ?? 0) / most) * room))]);
}

function failedText({ count, usd, attempts }: CostResult['failed'], verbose: boolean): string {
  const head = `Of it ${formatUsd(usd)} for ${plural(count, 'machine')} that never got ready:`;
  const shown = verbose ? attempts : attempts.slice(0, 5);
  const lines = shown.map(({ id, provider, zone, type, usd: cost, seconds, reason }) => {
    const why = verbose && reason !== null ? `: ${cut(reason.split('\n')[0] ?? '', 200)}` : '';
    return harmless(`  ${id} (${zone === null ? provider : `${provider} ${zone}`}, ${type}, ${span(seconds)}, ${formatUsd(cost)})${why}`);
  });
  return [head, ...lines, ...(count > shown.length ? [`  and ${count - shown.length} more`] : [])].join('\n');
}

function pricesText(items: readonly CostLine[], now: number): string {
  const lines = new Set(items.flatMap(({ prices }) => prices).map((price) => harmless(`  ${priceText(price, now)}`)));
  return ['Prices, as they stood when the machines were ordered:', ...lines].join('\n');
}

function priceText({ provider, type, spot, price, source, asOf, ageSeconds }: BookedPrice, now: number): string {
  const age = ageSeconds < 1 ? 'fresh then' : `${span(ageSeconds)} old then`;
  return `${provider} ${type}${spot ? ' spot' : ''}: ${formatUsd(price.perHour)} an hour, ${source}, ${age} (from ${ago(asOf, now)})`;
}

/** RFC 4180, with a first line of names. */
export function costCsv({ items }: CostResult, by: string): string {
  const rows = items.map(({ key, seconds, usd, egressUsd, live, prices }) => {
    const [only] = prices.length === 1 ? prices : [];
    const price = only === undefined ? ['', '', ''] : [String(only.price.perHour), only.source, isoTime(only.asOf)];
    return [key, String(Math.round(seconds * 1000) / 1000), usd.toFixed(6), String(live), ...price, egressUsd === null ? '' : egressUsd.toFixed(6)];
  });
  const lines = [[by, 'seconds', 'usd', 'live', 'usd_per_hour', 'price_source', 'price_as_of', 'egress_usd'], ...rows].map((row) =>
    row.map(csvField).join(','),
  );
  return lines.map((line) => `${line}\r\n`).join('');
}

/** A text that a spreadsheet would take for a formula gets an apostrophe in front, which shows it as it is. */
export function csvField(text: string): string {
  const plain = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** `cost --json`. */
export function costDocument({ totalUsd, totalSeconds, totalEgressUsd, items, omitted, failed }: CostResult): object {
  return {
    total: { usd: totalUsd, seconds: totalSeconds, egressUsd: totalEgressUsd },
    items: items.map((item) => ({ ...item, prices: item.prices.map(priceDocument) })),
    omitted,
    failed,
  };
}

function priceDocument({ price, asOf, ...rest }: BookedPrice): object {
  return { ...rest, pricePerHour: price.perHour, currency: price.currency, asOf: isoTime(asOf) };
}
