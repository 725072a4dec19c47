/** A disk that is so busy that the job has to wait for it. */

const slowMs = 5_000;

/** `ms`: from the record that a job runs to the start of its command, with what has to be on the disk first. null: nothing worth a word. */
export function slowStart(ms: number): string | null {
  if (ms < slowMs) return null;
  return `The command was started ${Math.round(ms / 1000)} s late: so long the machine's disk took to keep that the job runs. It is very busy.`;
}
