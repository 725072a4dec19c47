// breaks: front-doors-call-workflows
export { client } from '../runner/client.ts';
