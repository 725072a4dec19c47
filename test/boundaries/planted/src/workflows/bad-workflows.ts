// breaks: workflows
export { compose } from '../compose.ts';
