// breaks: provider-islands
export { registry } from '../registry.ts';
