/** What the SDK is given, looked at before anything costs money: from JavaScript, or from a file, it may hold anything. */
import { nearest } from '../config/nearest.ts';
import { GpuRunError } from '../core/errors.ts';

/** The names of all options of a call: the compiler sees that none is missing. */
export type Known<Options> = Readonly<Record<keyof Required<Options>, true>>;

/** An option that is dropped in silence (`maxtime`, `retry`) may be the one that keeps the bill small. @throws GpuRunError `bad-input` */
export function checkNames<Options extends object>(call: string, given: Options, known: Known<Options>): void {
  const names = Object.keys(known);
  const wrong = Object.keys(given).find((name) => !names.includes(name));
  if (wrong === undefined) return;
  const meant = nearest(wrong, names);
  throw new GpuRunError('bad-input', `\`${call}\` has no option '${wrong}'.`, {
    hints: [meant === null ? `It takes ${names.join(', ')}. All else is said in gpu-run.yaml.` : `Did you mean '${meant}'?`],
  });
}

/** @throws GpuRunError `bad-input` */
export function checkOneOf<Value extends string>(name: string, value: Value, known: readonly Value[]): void {
  if (known.includes(value)) return;
  throw new GpuRunError('bad-input', `\`${name}\` is ${JSON.stringify(value)}.`, { hints: [`Write one of ${known.map((each) => `'${each}'`).join(', ')}.`] });
}

/** @throws GpuRunError `bad-input` */
export function checkType(name: string, value: unknown, type: 'boolean' | 'function'): void {
  if (typeof value === type) return;
  throw new GpuRunError('bad-input', `\`${name}\` is ${JSON.stringify(value)}, and no ${type}.`, { hints: [`Give a ${type}, or leave it out.`] });
}
