// breaks: sync
export { ssh2 } from '../transport/ssh2.ts';
