// breaks: no-cycles
import type { B } from './bad-cycle-b.ts';
export interface A { b: B }
