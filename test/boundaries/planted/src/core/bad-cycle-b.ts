import type { A } from './bad-cycle-a.ts';
export interface B { a: A }
