/** What a machine that did not come up has said on its serial console, shown with the error: often the one trace of the reason. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';

const lines = 30;
const widest = 200;
/** A provider that does not answer must not keep us from ending the machine. */
const withinMs = 10_000;

/** Failures of which the console may know more than we do. */
const unclear: ReadonlySet<string> = new Set<GpuRunError['code']>(['unfit', 'lost', 'connection']);

/** The same failure, with the console's last lines among its hints where there are any. Never throws. */
export async function withConsole(thrown: unknown, machine: MachineEntry, context: RunContext): Promise<unknown> {
  const failure = toGpuRunError(thrown);
  if (!unclear.has(failure.code)) return thrown;
  const tail = await consoleTail(machine, context);
  if (tail === null) return thrown;
  const { code, message, retry, elsewhere, cause } = failure;
  const hint = `The end of its serial console:\n${tail}`;
  return new GpuRunError(code, message, { retry, elsewhere, hints: [...failure.hints, hint], cause: cause ?? failure });
}

async function consoleTail(machine: MachineEntry, context: RunContext): Promise<string | null> {
  if (machine.ref === null) return null;
  const late = new AbortController();
  try {
    const provider = await context.providers.get(machine.provider);
    if (provider.console === undefined) return null;
    const tail = provider.console.tail(machine.ref, lines, late.signal);
    const text = await Promise.race([tail, context.clock.sleep(withinMs, late.signal).then(() => null)]);
    return text === null ? null : harmlessLines(text);
  } catch {
    return null; // it is only there to explain
  } finally {
    late.abort();
  }
}

/** The last lines without what steers a terminal. null: nothing is left. */
export function harmlessLines(text: string): string | null {
  const kept = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for.
    .replace(/\u001b(\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)?|[@-Z\\-_])/g, '')
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/\t/g, ' ').replace(/\p{C}/gu, '').trimEnd())
    .filter((line) => line !== '')
    .slice(-lines)
    .map((line) => `  ${line.length > widest ? `${line.slice(0, widest)}…` : line}`);
  return kept.length === 0 ? null : kept.join('\n');
}
