// breaks: protocol
export type { money } from '../core/money.ts';
