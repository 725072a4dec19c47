/** Exit codes of the command line: one for each kind of error. `train` and `ssh` end with the command's own code where there is one. */
import type { ErrorCode } from '../core/errors.ts';

export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  'bad-input': 64,
  'not-found': 64,
  conflict: 64,
  'no-capacity': 69,
  quota: 69,
  internal: 70,
  sync: 74,
  'disk-full': 74,
  preempted: 75,
  lost: 75,
  connection: 76,
  protocol: 76,
  'not-allowed': 77,
  'host-key': 77,
  unfit: 78,
  'still-billing': 90,
  budget: 91,
  deadline: 92,
  interrupted: 130,
};

/** What a command ends with that passes on a job's own exit code: it stays, whatever becomes of what we print. */
export interface PassedOn {
  readonly passedOn: number;
}
