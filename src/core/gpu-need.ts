/** GPUs as people type them: `L4`, `L4:1`, `A100-80GB:8`. */
import { GpuRunError } from './errors.ts';
import type { GpuNeed } from './offer.ts';

/** More GPUs than any single machine has. */
const mostGpus = 64;

/** The vendor's short name with a count; without one, 1. The name is kept as typed. @throws GpuRunError bad-input */
export function parseGpuNeed(text: string): GpuNeed {
  const trimmed = text.trim();
  const [name = '', count, ...rest] = trimmed.split(':');
  if (rest.length > 0 || !isGpuName(name)) throw notAGpu(trimmed);
  if (count === undefined) return { name, count: 1 };
  if (!/^\d{1,3}$/.test(count) || Number(count) < 1 || Number(count) > mostGpus) {
    throw new GpuRunError('bad-input', `'${trimmed}' asks for '${count}' GPUs; the count of one machine is a whole number from 1 to ${mostGpus}.`, {
      hints: [`Write ${name}:1 for one.`, 'For several machines, add --nodes.'],
    });
  }
  return { name, count: Number(count) };
}

/** `L4:1`. */
export function formatGpuNeed(need: GpuNeed): string {
  return `${need.name}:${need.count}`;
}

function isGpuName(text: string): boolean {
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/i.test(text);
}

function notAGpu(text: string): GpuRunError {
  const swapped = /^(\d+)[x:\s]\s*([a-z][a-z0-9-]*)$/i.exec(text);
  if (swapped !== null) return new GpuRunError('bad-input', `'${text}' has the count first.`, { hints: [`Write ${swapped[2]}:${swapped[1]}.`] });
  const joined = text.replace(/\s+/g, '-');
  return new GpuRunError('bad-input', `'${text}' isn't the name of a GPU.`, {
    hints: [joined !== text && isGpuName(joined) ? `Write ${joined}:1.` : 'Write its short name, a colon and how many, as in L4:1 or A100-80GB:8.'],
  });
}
