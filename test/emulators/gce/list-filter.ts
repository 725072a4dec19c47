/** The `filter` of the API's list calls: `labels.k=v`, `operationType="..."`, `=`, `!=`, `:`, `eq`, `ne`, `<`, `>`, AND, OR, NOT, brackets. */
import { badRequest } from './api-error.ts';

export type ListFilter = (resource: Readonly<Record<string, unknown>>) => boolean;

type Token = { readonly kind: 'word' | 'text' | 'mark'; readonly text: string };

export function parseFilter(filter: string): ListFilter {
  if (filter.trim() === '') return () => true;
  const tokens = tokenize(filter);
  let at = 0;
  const refuse = (): never => {
    throw badRequest(`Invalid value for field 'filter': '${filter}'. Invalid list filter expression.`, 'invalid');
  };
  const isMark = (text: string) => tokens[at]?.kind === 'mark' && tokens[at]?.text === text;
  const isWord = (text: string) => tokens[at]?.kind === 'word' && tokens[at]?.text === text;

  const any = (): ListFilter => {
    const parts = [all()];
    while (isWord('OR')) {
      at++;
      parts.push(all());
    }
    return (resource) => parts.some((part) => part(resource));
  };
  const all = (): ListFilter => {
    const parts = [one()];
    while (isWord('AND') || isMark('(')) {
      if (isWord('AND')) at++;
      parts.push(one());
    }
    return (resource) => parts.every((part) => part(resource));
  };
  const one = (): ListFilter => {
    if (isWord('NOT')) {
      at++;
      const inner = one();
      return (resource) => !inner(resource);
    }
    if (!isMark('(')) return comparison();
    at++;
    const inner = any();
    if (!isMark(')')) refuse();
    at++;
    return inner;
  };
  const comparison = (): ListFilter => {
    const [field, operator, value] = [tokens[at], tokens[at + 1], tokens[at + 2]];
    if (field?.kind !== 'word' || operator === undefined || value === undefined || value.kind === 'mark') return refuse();
    const test = tests[operator.text];
    if (test === undefined || operator.kind === 'text') return refuse();
    at += 3;
    return (resource) => test(valueAt(resource, field.text), value.text);
  };

  const whole = any();
  return at === tokens.length ? whole : refuse();
}

const tests: Readonly<Record<string, (held: string | null, wanted: string) => boolean>> = {
  '=': (held, wanted) => equals(held, wanted),
  '!=': (held, wanted) => !equals(held, wanted),
  ':': (held, wanted) => held !== null && (wanted === '*' || held.includes(wanted)),
  eq: (held, wanted) => held !== null && new RegExp(`^(?:${wanted})$`).test(held),
  ne: (held, wanted) => held === null || !new RegExp(`^(?:${wanted})$`).test(held),
  '<': (held, wanted) => held !== null && inOrder(held, wanted) < 0,
  '<=': (held, wanted) => held !== null && inOrder(held, wanted) <= 0,
  '>': (held, wanted) => held !== null && inOrder(held, wanted) > 0,
  '>=': (held, wanted) => held !== null && inOrder(held, wanted) >= 0,
};

function equals(held: string | null, wanted: string): boolean {
  if (!wanted.includes('*')) return held === wanted;
  const pattern = wanted
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return held !== null && new RegExp(`^${pattern}$`).test(held);
}

function inOrder(held: string, wanted: string): number {
  const [a, b] = [Number(held), Number(wanted)];
  if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
  return held < wanted ? -1 : held > wanted ? 1 : 0;
}

/** Labels may have hyphens, and no dots; null: the resource has none. */
function valueAt(resource: Readonly<Record<string, unknown>>, path: string): string | null {
  let value: unknown = resource;
  for (const name of path.split('.')) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  return value === undefined || value === null || typeof value === 'object' ? null : String(value);
}

function tokenize(filter: string): readonly Token[] {
  const tokens: Token[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|([()])|(!=|<=|>=|=|:|<|>)|([^\s()"=!:<>]+))/y;
  while (pattern.lastIndex < filter.trimEnd().length) {
    const found = pattern.exec(filter);
    if (found === null) throw badRequest(`Invalid value for field 'filter': '${filter}'. Invalid list filter expression.`, 'invalid');
    const [, quoted, bracket, operator, word] = found;
    if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replace(/\\(.)/g, '$1') });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else tokens.push({ kind: 'mark', text: bracket ?? operator ?? '' });
  }
  return tokens;
}
