import type { money } from '../core/money.ts';
export type Transport = typeof money;
