/**
 * The way in for SSH: what the network lets in already is used; else one rule of ours is made, for the caller's own address and our
 * machines alone, never for the whole Internet. It goes with the last machine that was made from the same state folder. Nothing here
 * stops a launch: what can't be done comes back as a text for the user, with the command to do it.
 */
import { randomUUID } from 'node:crypto';
import { GpuRunError } from '../../../core/errors.ts';
import { labelKeys } from '../../../core/machine.ts';
import type { GceApi } from '../gce-api.ts';
import { GceError } from '../gce-error.ts';
import type { EffectiveFirewalls, Firewall, Instance } from '../gce-resources.ts';
import { judge, type Verdict } from './firewall-verdict.ts';
import { relayRange } from './iap/relay-error.ts';
import { type RuleOwner, ruleName, rulePrefix } from './rule-name.ts';

/** The rule is named after `owner` and `home` of the machine's labels. */
export interface SshAccessNeed extends RuleOwner {
  readonly api: GceApi;
  readonly zone: string;
  /** Of the instance. */
  readonly name: string;
  /** Of the instance: rules name them. The first is the one that our rule names. */
  readonly tag: string;
  readonly port: number;
  /** false: only Google's relay must get in. */
  readonly publicIp: boolean;
  /** From the config: ranges instead of the caller's address. */
  readonly allowFrom: readonly string[];
  /** Asked only where no rule lets everybody in. null: not known. */
  readonly callerAddress: () => Promise<string | null>;
  readonly signal?: AbortSignal;
}

export type SshAllowed =
  | { readonly state: 'allowed'; readonly by: string | null }
  | { readonly state: 'made'; readonly rule: string }
  /** `command` does it by hand; null: no rule of ours would help. */
  | { readonly state: 'unsure'; readonly warning: string; readonly command: string | null };

/** @throws only what is no answer of Google: an abort, a bug */
export async function ensureSshAllowed(need: SshAccessNeed): Promise<SshAllowed> {
  const { api, zone, name, publicIp, signal } = need;
  const [effective, instance] = await Promise.all([orFailure(api.effectiveFirewalls(zone, name, signal)), orFailure(api.getInstance(zone, name, signal))]);
  if (publicIp) {
    const anybody = judged(need, effective, '0.0.0.0/0');
    if (anybody?.answer === 'allowed') return { state: 'allowed', by: anybody.rule };
  }
  const sources = await sourcesOf(need);
  const body = ruleBody(need, networkOf(instance), sources ?? ['YOUR_ADDRESS/32']);
  const command = gcloudCommand(api.project, body);
  if (sources === null) {
    const warning = 'SSH may not get in: no rule of the network lets everybody in, and the address of this computer on the Internet is not known.';
    return { state: 'unsure', warning, command };
  }
  const lasting = withoutOthers(effective, body.name);
  const verdicts = sources.map((source) => judged(need, lasting, source));
  if (verdicts.every((verdict) => verdict?.answer === 'allowed')) return { state: 'allowed', by: verdicts[0]?.rule ?? null };
  const blocking = sources.map((source) => judged(need, lasting, source, body)).find((verdict) => verdict?.answer === 'denied');
  if (blocking !== undefined) {
    const warning = `SSH will not get in from ${sources.join(', ')}: ${blocking?.rule ?? 'a rule'} forbids it, and a rule of ours would not change that.`;
    return { state: 'unsure', warning, command: null };
  }
  try {
    await putRule(api, body, signal);
    return { state: 'made', rule: body.name };
  } catch (error) {
    if (!(error instanceof GceError)) throw error;
    const now = sources.map((source) => judged(need, effective, source));
    if (now.every((verdict) => verdict?.answer === 'allowed')) return { state: 'allowed', by: now[0]?.rule ?? null };
    return {
      state: 'unsure',
      warning: `SSH may not get in from ${sources.join(', ')}: no rule of the network lets it, and making one failed: ${error.message}`,
      command,
    };
  }
}

/** null: not known. */
function judged({ port, tag }: SshAccessNeed, effective: EffectiveFirewalls | GceError, source: string, extra?: Firewall): Verdict | null {
  return effective instanceof GceError ? null : judge(effective, { source, port, tags: [tag] }, extra);
}

/** Rules of other computers behind one address with us go when their machines do, and ours stay. */
function withoutOthers(effective: EffectiveFirewalls | GceError, own: string): EffectiveFirewalls | GceError {
  if (effective instanceof GceError) return effective;
  return { ...effective, firewalls: (effective.firewalls ?? []).filter(({ name }) => name === own || !name.startsWith(rulePrefix)) };
}

export interface RuleToRemove {
  /** Of the rule. */
  readonly name: string;
  readonly owner: string;
  /** Of the rule, or of the machine that has ended; null: `default`. */
  readonly network: string | null;
  /** Name of the machine that has ended; null: of none. */
  readonly ended: string | null;
}

/**
 * Deletes a rule that no machine needs any more. Where that is not certain the rule stays: it opens one port of machines that are ours
 * to one address.
 * @returns whether it was deleted. @throws as `ensureSshAllowed`
 */
export async function removeRuleWhenLast(api: GceApi, unneeded: RuleToRemove, signal?: AbortSignal): Promise<boolean> {
  try {
    const rule = await api.getFirewall(unneeded.name, signal);
    if (rule === null || (await othersLeft(api, unneeded, signal))) return false;
    const deletion = await api.deleteFirewall(rule.name, randomUUID(), signal);
    if (deletion !== null) await api.waitOperation(deletion, signal);
    // One that was made in between was told that the rule is there.
    if (!(await othersLeft(api, unneeded, signal))) return true;
    await putRule(api, asWritten(rule), signal);
    return false;
  } catch (error) {
    if (error instanceof GceError) return false;
    throw error;
  }
}

/** Statuses of instances that nobody logs in to any more: those of a `down` of several end at the same time. */
const ending: ReadonlySet<string> = new Set(['STOPPING', 'STOPPED', 'TERMINATED']);

/** Without what the API adds by itself. */
function asWritten({ name, network, direction, priority, sourceRanges, targetTags, allowed }: Firewall): Firewall {
  return JSON.parse(JSON.stringify({ name, network, direction, priority, sourceRanges, targetTags, allowed }));
}

async function othersLeft(api: GceApi, { name: rule, owner, network, ended }: RuleToRemove, signal: AbortSignal | undefined): Promise<boolean> {
  const { items, unreachable } = await api.listInstances(`labels.${labelKeys.owner}=${owner}`, signal);
  const needs = ({ labels }: Instance) => ruleName({ owner, home: labels?.[labelKeys.home] ?? null }, network) === rule;
  return unreachable.length > 0 || items.some((instance) => instance.name !== ended && !ending.has(instance.status) && needs(instance));
}

async function putRule(api: GceApi, body: Firewall, signal: AbortSignal | undefined): Promise<void> {
  const there = await api.getFirewall(body.name, signal);
  const write = async () => {
    if (there === null) return await api.insertFirewall(body, randomUUID(), signal);
    if (JSON.stringify(there.sourceRanges) === JSON.stringify(body.sourceRanges) && JSON.stringify(there.allowed) === JSON.stringify(body.allowed)) {
      if (there.disabled !== true) return null;
    }
    return await api.patchFirewall(body.name, { sourceRanges: body.sourceRanges ?? [], allowed: body.allowed ?? [], disabled: false }, randomUUID(), signal);
  };
  try {
    const operation = await write();
    if (operation === null) return;
    const { error } = await api.waitOperation(operation, signal);
    const [first] = error?.errors ?? [];
    if (first !== undefined && first.code !== 'RESOURCE_ALREADY_EXISTS') {
      throw new GceError(first.message, { status: 400, reasons: [first.code], details: [], call: operation.operationType });
    }
  } catch (error) {
    if (error instanceof GceError && error.status === 409) return; // another gpu-run was faster
    throw error;
  }
}

function ruleBody({ owner, home, tag, port }: SshAccessNeed, network: string | null, sources: readonly string[]): Firewall {
  return {
    name: ruleName({ owner, home }, network),
    network: network ?? 'global/networks/default',
    direction: 'INGRESS',
    priority: 1000,
    sourceRanges: sources,
    targetTags: [tag],
    allowed: [{ IPProtocol: 'tcp', ports: [String(port)] }],
  };
}

/** null: not known. @throws GpuRunError `bad-input` for the whole Internet */
async function sourcesOf({ publicIp, allowFrom, callerAddress }: SshAccessNeed): Promise<readonly string[] | null> {
  if (!publicIp) return [relayRange];
  if (allowFrom.some((range) => /\/0+$/.test(range))) {
    throw new GpuRunError('bad-input', "'gcp.allow-from' names the whole Internet: gpu-run makes no such rule.", {
      hints: ['Name your own address, as in 203.0.113.7/32.'],
    });
  }
  if (allowFrom.length > 0) return allowFrom;
  const address = await callerAddress();
  return address === null ? null : [`${address}/${address.includes(':') ? 128 : 32}`];
}

function networkOf(instance: Instance | null | GceError): string | null {
  return instance === null || instance instanceof GceError ? null : (instance.networkInterfaces?.[0]?.network ?? null);
}

/** Of values that were checked: names, ranges and numbers. */
function gcloudCommand(project: string, { name, network = 'default', sourceRanges = [], targetTags = [], allowed = [] }: Firewall): string {
  const rules = allowed.flatMap(({ ports = [] }) => ports.map((port) => `tcp:${port}`)).join(',');
  const short = network.slice(network.lastIndexOf('/') + 1);
  // A shared network's rules belong to the project that shares it.
  const owner = /(?:^|\/)projects\/([^/]+)\//.exec(network)?.[1] ?? project;
  return `gcloud compute firewall-rules create ${name} --project=${owner} --network=${short} --direction=INGRESS --action=ALLOW --rules=${rules} --source-ranges=${sourceRanges.join(',')} --target-tags=${targetTags.join(',')}`;
}

async function orFailure<T extends EffectiveFirewalls | Instance | null>(asked: Promise<T>): Promise<T | GceError> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof GceError) return error;
    throw error;
  }
}
