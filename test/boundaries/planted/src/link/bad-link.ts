// breaks: link
export { push } from '../sync/push.ts';
