// breaks: testing
export { up } from '../workflows/up.ts';
