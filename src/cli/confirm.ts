/** A question that has to be answered with yes before something is ended or overwritten. */
import { createInterface } from 'node:readline/promises';
import { GpuRunError } from '../core/errors.ts';

/** @throws GpuRunError `usage` where there is nobody to ask, `interrupted` when the answer is not yes */
export async function confirm(question: string, signal?: AbortSignal): Promise<void> {
  const { stdin: input, stderr: output } = process;
  if (!input.isTTY || !output.isTTY) {
    throw new GpuRunError('usage', `${question} Nobody can be asked here.`, { hints: ['Add --yes if that is meant.'] });
  }
  const reader = createInterface({ input, output });
  try {
    const answer = await reader.question(`${question} [y/N] `, signal === undefined ? {} : { signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new GpuRunError('interrupted', 'Nothing was changed.');
  } finally {
    reader.close();
  }
}
