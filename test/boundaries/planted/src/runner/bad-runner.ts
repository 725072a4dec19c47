// breaks: runner
export { push } from '../sync/push.ts';
