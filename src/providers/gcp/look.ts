/** What one look at a machine needs. */
import type { GceApi } from './gce-api.ts';
import type { InstanceRef } from './instance-ref.ts';
import type { LoginUser } from './login-user.ts';

export interface Look {
  readonly api: GceApi;
  readonly ref: InstanceRef;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly now: number;
  readonly loginUser: LoginUser;
  readonly signal: AbortSignal | undefined;
}
