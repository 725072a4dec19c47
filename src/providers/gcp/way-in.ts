/** The way in for SSH around a machine's life. It never decides over the machine: what fails here is said, or left for the next time. */
import type { Clock } from '../../core/clock.ts';
import { toGpuRunError } from '../../core/errors.ts';
import { ensureSshAllowed, removeRuleWhenLast } from './access/firewall.ts';
import { ruleName } from './access/rule-name.ts';
import { explainFailure } from './failure.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import { networkTag } from './instance-body.ts';
import type { InstanceRef } from './instance-ref.ts';

/** The SSH port of machines that are just being made; another one is seen only when they run. */
const sshPort = 22;

/** Rules are made and deleted within seconds; nobody waits longer for Google to say so. */
const withinMs = 45_000;

export interface WayIn {
  /** True: a rule was made or changed, and it may help now. What can't be done is said to the user. @throws the signal's reason */
  open(api: GceApi, ref: InstanceRef, signal: AbortSignal | undefined): Promise<boolean>;
  /** After a machine has ended: rules that no machine needs any more go. Where that fails they stay. */
  close(api: GceApi, ref: InstanceRef): Promise<void>;
}

export interface WayInParts {
  readonly clock: Clock;
  readonly callerAddress: () => Promise<string | null>;
  readonly warn: (text: string) => void;
}

export function createWayIn({ clock, callerAddress, warn }: WayInParts): WayIn {
  const limited = async <T>(signal: AbortSignal | undefined, work: (limit: AbortSignal) => Promise<T>): Promise<T> => {
    const late = new AbortController();
    const over = new AbortController();
    clock.sleep(withinMs, over.signal).then(
      () => late.abort(new GceError(`no end within ${withinMs / 1000} s`, { status: null, reasons: [], details: [], call: 'firewall' })),
      () => {},
    );
    try {
      return await work(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } finally {
      over.abort();
    }
  };
  return {
    async open(api, { zone, name, owner, home, publicIp, allowFrom }, signal) {
      try {
        const allowed = await limited(signal, (limit) =>
          ensureSshAllowed({ api, zone, name, owner, home, tag: networkTag, port: sshPort, publicIp, allowFrom, callerAddress, signal: limit }),
        );
        if (allowed.state === 'made') return true;
        if (allowed.state === 'unsure') warn(allowed.command === null ? allowed.warning : `${allowed.warning} By hand: ${allowed.command}`);
      } catch (error) {
        signal?.throwIfAborted();
        const { message } = error instanceof GceError ? explainFailure(error) : toGpuRunError(error);
        warn(`SSH may not get in to '${name}': whether the network lets it could not be found out. ${message}`);
      }
      return false;
    },
    async close(api, { owner, home, name, network }) {
      try {
        const rule = ruleName({ owner, home }, network);
        await limited(undefined, (limit) => removeRuleWhenLast(api, { name: rule, owner, network, ended: name }, limit));
      } catch {
        // It opens one port of our machines to one address; the next machine that ends takes it along.
      }
    },
  };
}
