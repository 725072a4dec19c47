/**
 * What our firewall rules are called: rules carry no labels, so the name alone says whose one is. One for each owner, network and state
 * folder: two computers of one owner have two addresses, and each changes and deletes only its own.
 */
import { createHash } from 'node:crypto';

export interface RuleOwner {
  /** Our label's value. */
  readonly owner: string;
  /** Value of the label that says from which state folder a machine was made; null: it has none. */
  readonly home: string | null;
}

/** Of all rules of ours, whoever's. */
export const rulePrefix = 'gpu-run-ssh-';

/** `network`: name or URL; null: `default`. The same whatever the address: at another place the rule is changed. */
export function ruleName({ owner, home }: RuleOwner, network: string | null): string {
  const all = nameOfAll(owner, network);
  return home === null ? all : `${all}-${digest(home, 6)}`;
}

/** Whether it is a rule of this owner for this network, from whichever state folder. */
export function isRuleOf(name: string, owner: string, network: string | null): boolean {
  const all = nameOfAll(owner, network);
  return name === all || (name.startsWith(`${all}-`) && /^[0-9a-f]{6}$/.test(name.slice(all.length + 1)));
}

function nameOfAll(owner: string, network: string | null): string {
  const short = network === null ? 'default' : network.slice(network.lastIndexOf('/') + 1);
  return `${rulePrefix}${digest(`${owner}\n${short}`, 12)}`;
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
