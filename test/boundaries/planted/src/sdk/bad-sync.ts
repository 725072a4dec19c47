// breaks: front-doors-call-workflows
export { push } from '../sync/push.ts';
