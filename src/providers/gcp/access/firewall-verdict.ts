/**
 * Whether a network lets a TCP connection in, by the rules that Google says are in effect for an instance. Rules are looked at in
 * Google's order: policies of the organization and folders, the network's own rules, policies of the network; then all is denied.
 * (A network can be set to ask its policies before its rules; the API does not say so here, hence both orders must agree.)
 * What can't be judged from outside (tags of the source, names, countries) leaves the answer open. Pure.
 */
import type { EffectiveFirewalls, Firewall, FirewallPolicyRule } from '../gce-resources.ts';
import { type Within, within } from './address-range.ts';

export interface Attempt {
  /** Where from: an address or a range; 0.0.0.0/0: from wherever it may be. */
  readonly source: string;
  readonly port: number;
  /** Of the instance. */
  readonly tags: readonly string[];
}

export interface Verdict {
  readonly answer: 'allowed' | 'denied' | 'open';
  /** What decides, in words; null: no rule does, and so it is denied. */
  readonly rule: string | null;
}

interface Step {
  readonly matches: Within;
  readonly action: 'allow' | 'deny' | 'goto_next' | 'unknown';
  readonly rule: string;
}

/** @param extra a rule of the network that is not there yet */
export function judge(effective: EffectiveFirewalls, attempt: Attempt, extra?: Firewall): Verdict {
  const policies = effective.firewallPolicys ?? [];
  const stepsOf = (chosen: typeof policies) => chosen.map((policy) => policySteps(policy.rules ?? [], policy.type ?? 'policy', attempt));
  const hierarchy = stepsOf(policies.filter(({ type }) => type === 'HIERARCHY'));
  const later = stepsOf(policies.filter(({ type }) => type !== 'HIERARCHY').toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0)));
  const own = [ruleSteps([...(effective.firewalls ?? []), ...(extra === undefined ? [] : [extra])], attempt)];
  const usual = run([...hierarchy, ...own, ...later]);
  const other = later.length === 0 ? usual : run([...hierarchy, ...later, ...own]);
  return usual.answer === other.answer ? usual : { answer: 'open', rule: other.rule ?? usual.rule };
}

/** Each list of steps is left by `goto_next`, or at its end, for the next one. */
function run(lists: readonly (readonly Step[])[]): Verdict {
  const [list, ...rest] = lists;
  if (list === undefined) return { answer: 'denied', rule: null };
  const [step, ...others] = list;
  if (step === undefined) return run(rest);
  if (step.matches === 'no') return run([others, ...rest]);
  const hit = step.action === 'goto_next' ? run(rest) : answerOf(step);
  if (step.matches === 'yes') return hit;
  const miss = run([others, ...rest]);
  return hit.answer === miss.answer ? hit : { answer: 'open', rule: step.rule };
}

function answerOf({ action, rule }: Step): Verdict {
  return { answer: action === 'allow' ? 'allowed' : action === 'deny' ? 'denied' : 'open', rule };
}

/** Of equal priority the denying rule wins. */
function ruleSteps(rules: readonly Firewall[], attempt: Attempt): readonly Step[] {
  return rules
    .filter(({ direction = 'INGRESS', disabled, targetTags = [] }) => {
      return direction === 'INGRESS' && disabled !== true && (targetTags.length === 0 || targetTags.some((tag) => attempt.tags.includes(tag)));
    })
    .map((rule) => {
      const action = (rule.denied ?? []).length > 0 ? 'deny' : 'allow';
      const layers = [...(rule.denied ?? []), ...(rule.allowed ?? [])].map(({ IPProtocol, ports }) => ({ ipProtocol: IPProtocol, ports }));
      const step: Step = { action, rule: `the rule ${rule.name}`, matches: both(ruleSource(rule, attempt.source), layerMatch(layers, attempt.port)) };
      return { priority: rule.priority ?? 1000, step };
    })
    .toSorted((a, b) => a.priority - b.priority || Number(a.step.action === 'allow') - Number(b.step.action === 'allow'))
    .map(({ step }) => step);
}

/** Tags and service accounts of the source are those of other instances, never of a caller from outside. */
function ruleSource(rule: Firewall, source: string): Within {
  const { sourceRanges = [] } = rule;
  const byOthers = has(rule, 'sourceTags') || has(rule, 'sourceServiceAccounts');
  if (sourceRanges.length === 0) return byOthers ? 'no' : 'yes';
  const match = within(source, sourceRanges);
  // To whom it applies, or which of our addresses it means, is not known here.
  return has(rule, 'targetServiceAccounts') || has(rule, 'destinationRanges') ? both(match, 'partly') : match;
}

function policySteps(rules: readonly FirewallPolicyRule[], type: string, attempt: Attempt): readonly Step[] {
  return rules
    .filter((rule) => (rule.direction ?? 'INGRESS') === 'INGRESS' && rule.disabled !== true)
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
    .map((rule) => {
      const { srcIpRanges = [], layer4Configs = [] } = rule.match ?? {};
      const bySource = srcIpRanges.length === 0 ? 'yes' : within(attempt.source, srcIpRanges);
      const further = Object.keys(rule.match ?? {}).some((key) => key !== 'srcIpRanges' && key !== 'layer4Configs' && has(rule.match, key));
      const actions = ['allow', 'deny', 'goto_next'] as const;
      return {
        action: actions.find((action) => action === rule.action) ?? 'unknown',
        rule: `a firewall policy (${type}, priority ${rule.priority ?? 'unknown'})`,
        matches: both(both(bySource, layerMatch(layer4Configs, attempt.port)), further ? 'partly' : 'yes'),
      };
    });
}

function layerMatch(layers: readonly { readonly ipProtocol?: string | undefined; readonly ports?: readonly string[] | undefined }[], port: number): Within {
  const hit = layers.some(({ ipProtocol = 'all', ports = [] }) => {
    return ['tcp', '6', 'all'].includes(ipProtocol.toLowerCase()) && (ports.length === 0 || ports.some((range) => inPorts(range, port)));
  });
  return hit || layers.length === 0 ? 'yes' : 'no';
}

function inPorts(range: string, port: number): boolean {
  const [first = Number.NaN, last = first] = range.split('-').map(Number);
  return first <= port && port <= last;
}

function both(a: Within, b: Within): Within {
  if (a === 'no' || b === 'no') return 'no';
  return a === 'yes' && b === 'yes' ? 'yes' : 'partly';
}

/** Fields beyond those that are typed: the API has more of them than anybody reads, and an empty one says nothing. */
function has(from: object | undefined, key: string): boolean {
  const value: unknown = (from as Readonly<Record<string, unknown>> | undefined)?.[key];
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== '' && value !== 'UNSPECIFIED';
}
