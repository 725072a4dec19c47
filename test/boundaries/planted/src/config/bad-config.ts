// breaks: config
export { up } from '../workflows/up.ts';
