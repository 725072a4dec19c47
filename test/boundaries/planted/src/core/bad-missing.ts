// breaks: resolvable
export { nothing } from './nothing.ts';
